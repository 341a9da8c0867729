//! `landfall point view|views|close`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use control::api::{PointView, View, ViewClose, ViewList, Views};
use control::{ApiError, Code, ErrorReply};
use signal_hook::consts::{SIGINT, SIGTERM};
use units::ByteLen;

use super::{Context, machine, now};
use crate::arguments::ViewArguments;
use crate::paint::harmless;
use crate::paint::{Paint, Tone};
use crate::screen::Ending;
use crate::table::{Cell, Column, Table};
use crate::when::PointName;

/// How often a view that is waited for is looked at, in looks for a signal.
const LOOKS: u32 = 20;
/// How often a signal is looked for.
const PAUSE: Duration = Duration::from_millis(100);

/// Opens a view, and closes it when a signal says so.
pub(super) fn open(context: &Context<'_>, wanted: ViewArguments) -> Result<Ending, ErrorReply> {
    let PointName { machine, point } = wanted.point;
    let stop = if wanted.no_wait { None } else { Some(stop_flag()?) };
    let request = PointView {
        machine,
        point: point.resolve(now()),
        inconsistent_ok: wanted.inconsistent,
        scratch_bytes: wanted.scratch.map(|scratch| scratch.0),
        listen: wanted.listen,
    };
    let view = context.ask(request)?;
    context.screen.show(&view, |view, _| sheet(view, wanted.no_wait))?;
    match stop {
        Some(stop) => wait(context, view.id, &stop),
        None => Ok(Ending::Done),
    }
}

/// Lists the views.
pub(super) fn list(context: &Context<'_>) -> Result<Ending, ErrorReply> {
    let views = context.ask(ViewList {})?;
    context.screen.show(&views, |views, paint| match views.views.as_slice() {
        [] => "no views; open one with `landfall point view MACHINE@POINT`\n".to_owned(),
        _ => table(views).render(paint),
    })?;
    Ok(Ending::Done)
}

/// Closes a view.
pub(super) fn close(context: &Context<'_>, id: u64) -> Result<Ending, ErrorReply> {
    let view = context.ask(ViewClose { id })?;
    context.screen.show(&view, |view, _: Paint| closed(view))?;
    Ok(Ending::Done)
}

/// Returns what a signal to end sets from now on.
fn stop_flag() -> Result<Arc<AtomicBool>, ErrorReply> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).map_err(|error| {
            ErrorReply::from(ApiError::new(Code::Internal, "signals can't be taken").because(error))
        })?;
    }
    Ok(stop)
}

/// Waits for a signal, then closes the view; or for the view to end by itself.
fn wait(context: &Context<'_>, id: u64, stop: &AtomicBool) -> Result<Ending, ErrorReply> {
    loop {
        for _ in 0..LOOKS {
            if stop.load(Ordering::Relaxed) {
                return close(context, id);
            }
            std::thread::sleep(PAUSE);
        }
        let views = context.ask(ViewList {})?.views;
        match views.iter().find(|view| view.id == id) {
            Some(View { ended: None, .. }) => {}
            Some(View { ended: Some(_), .. }) => {
                close(context, id)?;
                return Ok(Ending::NotWell);
            }
            // Somebody else has closed it.
            None => return Ok(Ending::Done),
        }
    }
}

fn sheet(view: &View, no_wait: bool) -> String {
    let mut text = format!("view {} of {}: {}\n", view.id, view.machine, machine::describe(&view.point));
    text += &match view.scratch_bytes {
        Some(bytes) => format!("it takes up to {} of writes, which are thrown away\n", ByteLen(bytes)),
        None => "it is read-only\n".to_owned(),
    };
    for disk in &view.disks {
        let uri = harmless(&disk.uri);
        text += &format!("\ndisk {}, {}: {uri}\n", disk.index.0, ByteLen(disk.len_bytes));
        if uri.starts_with("nbd+unix") {
            text += &format!(
                "  nbdinfo '{uri}'\n  nbdcopy '{uri}' copy.img\n  qemu-img compare '{uri}' copy.img\n"
            );
        } else {
            text += &format!(
                "  nbdinfo '{uri}?tls-certificates=DIR'\n  nbdcopy '{uri}?tls-certificates=DIR' copy.img\n"
            );
        }
    }
    text += &match no_wait {
        true => format!("\nit stays open until `landfall point close {}`\n", view.id),
        false => "\nit stays open until Ctrl-C\n".to_owned(),
    };
    text
}

fn closed(view: &View) -> String {
    let thrown = view
        .scratch_bytes
        .map_or_else(String::new, |_| format!("; {} of writes were thrown away", ByteLen(view.used_bytes)));
    let ended =
        view.ended.as_ref().map_or_else(String::new, |why| format!(", which had ended: {}", harmless(why)));
    format!("view {} of {} was closed{ended}{thrown}\n", view.id, view.machine)
}

fn table(views: &Views) -> Table {
    use Column::{Number, Text};
    let mut table = Table::new([
        Number("VIEW"),
        Text("MACHINE"),
        Number("SEQ"),
        Text("POINT"),
        Number("SCRATCH"),
        Number("CLIENTS"),
        Text("STATE"),
        Text("DISK 0"),
    ]);
    for view in &views.views {
        let scratch =
            view.scratch_bytes.map(|bytes| format!("{} of {}", ByteLen(view.used_bytes), ByteLen(bytes)));
        let state = match &view.ended {
            None => Cell::toned(Tone::Good, "open"),
            Some(why) => Cell::toned(Tone::Bad, harmless(why)),
        };
        table.row([
            view.id.to_string().into(),
            view.machine.as_str().into(),
            format!("#{}", view.point.sequence).into(),
            view.point.time.to_string().into(),
            scratch.unwrap_or_default().into(),
            view.connections.to_string().into(),
            state,
            view.disks.first().map(|disk| harmless(&disk.uri)).unwrap_or_default().into(),
        ]);
    }
    table
}
