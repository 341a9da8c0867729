//! `landfall point pin|unpin`

use control::ErrorReply;
use control::api::{Pins, PointPin, PointUnpin};
use units::Timestamp;

use super::{Context, machine, now};
use crate::arguments::PinArguments;
use crate::paint::{Paint, harmless};
use crate::screen::Ending;
use crate::table::{Column, Table};
use crate::when::PointName;

/// Keeps a point beyond the policy.
pub(super) fn pin(context: &Context<'_>, wanted: PinArguments) -> Result<Ending, ErrorReply> {
    let PinArguments { point: PointName { machine, point }, until, r#for: span, note } = wanted;
    let behind = |span: std::time::Duration| {
        Timestamp(now().0.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    };
    let until = until.or(span.map(behind)).map(Into::into);
    let pins = context.ask(PointPin { machine, point: point.resolve(now()), until, note })?;
    context.screen.show(&pins, render)?;
    Ok(Ending::Done)
}

/// Keeps a point no longer.
pub(super) fn unpin(context: &Context<'_>, name: PointName) -> Result<Ending, ErrorReply> {
    let PointName { machine, point } = name;
    let pins = context.ask(PointUnpin { machine, point: point.resolve(now()) })?;
    context.screen.show(&pins, render)?;
    Ok(Ending::Done)
}

fn render(pins: &Pins, paint: Paint) -> String {
    if pins.pins.is_empty() {
        return format!("{} has no pinned points\n", pins.machine);
    }
    let mut table = Table::new([Column::Text("PINNED"), Column::Text("UNTIL"), Column::Text("NOTE")]);
    for pin in &pins.pins {
        let until = pin.until.map_or_else(|| "for ever".to_owned(), |until| until.to_string());
        table.row([machine::describe(&pin.point).into(), until.into(), harmless(&pin.note).into()]);
    }
    format!("{}:\n{}", pins.machine, table.render(paint))
}
