//! `landfall retention size`

use std::time::Duration;

use control::ErrorReply;
use retention::{Sizing, Workload};
use serde::Serialize;
use units::ByteLen;

use crate::arguments::SizeArguments;
use crate::screen::{Ending, Screen};
use crate::span::span;
use crate::table::{Column, Table};

/// The formula, and examples.
pub(crate) const EXAMPLES: &str = "\
  written = churn × (window + 15 min)             epochs expire whole: the oldest reaches beyond the window
  redo    = written ÷ compress × 129/128          every write, and its records
  undo    = written × (1 − overwrite) ÷ compress × 129/128
                                                  what was there before, once for each epoch
  index   = (written + written × (1 − overwrite)) ÷ 256
  reserve = 256 MiB                               logs grow by 64 MiB: two in use, two for the next epoch
  volume  = (redo + undo + index + reserve) ÷ 0.9 a tenth stays free

For 24 h at 12 MiB/s:
                                     redo        undo     index      volume
  plain                          1.01 TiB    1.01 TiB  7.99 GiB    2.25 TiB
  --compress 2                 515.52 GiB  515.52 GiB  7.99 GiB    1.13 TiB
  --compress 2 --overwrite 0.5 515.52 GiB  257.76 GiB  5.99 GiB  866.14 GiB

Examples:
  landfall retention size --churn 12MiB/s --window 24h
  landfall retention size --churn 12MiB/s --compress 2 --overwrite 0.5
  landfall retention size --churn 12MiB/s --disk 1TiB";

/// What was computed, in bytes and seconds.
#[derive(Debug, Serialize)]
struct Computed {
    churn_bytes_per_second: u64,
    window_seconds: u64,
    compression_thousandths: u32,
    overwritten_thousandths: u32,
    redo_bytes: u64,
    undo_bytes: u64,
    index_bytes: u64,
    reserve_bytes: u64,
    volume_bytes: u64,
    disk_bytes: Option<u64>,
    /// How far back the disk reaches, when one was named.
    disk_window_seconds: Option<u64>,
}

/// Computes the size of a volume, or the window on one.
pub(super) fn show(screen: &Screen, wanted: &SizeArguments) -> Result<Ending, ErrorReply> {
    let workload = Workload {
        churn: wanted.churn,
        window: wanted.window,
        compression: wanted.compress,
        overwritten: wanted.overwrite,
    };
    let sizing = workload.sizing();
    let reach = wanted.disk.map(|disk| workload.window_on(disk).unwrap_or(Duration::ZERO));
    let computed = computed(&workload, &sizing, wanted.disk, reach);
    screen.show(&computed, |_, paint| {
        let mut table = Table::new([Column::Text("PART"), Column::Number("SIZE"), Column::Text("WHAT")]);
        for (part, size, what) in [
            ("redo", sizing.redo, "every write of the window"),
            ("undo", sizing.undo, "what was there before"),
            ("index", sizing.index, "where both are"),
            ("reserve", sizing.reserve, "what logs in use are lengthened by"),
            ("history", sizing.history(), "all of it"),
            ("volume", sizing.volume, "with a tenth free"),
        ] {
            table.row([part.into(), size.to_string().into(), what.into()]);
        }
        let head = format!("{}/s for {}:\n", workload.churn, span(workload.window.as_secs()));
        let foot = wanted.disk.zip(reach).map_or_else(String::new, |(disk, reach)| {
            format!("\na volume of {disk} reaches {} back\n", span(reach.as_secs()))
        });
        format!("{head}{}{foot}", table.render(paint))
    })?;
    Ok(Ending::Done)
}

fn computed(
    workload: &Workload,
    sizing: &Sizing,
    disk: Option<ByteLen>,
    reach: Option<Duration>,
) -> Computed {
    Computed {
        churn_bytes_per_second: workload.churn.0,
        window_seconds: workload.window.as_secs(),
        compression_thousandths: workload.compression,
        overwritten_thousandths: workload.overwritten,
        redo_bytes: sizing.redo.0,
        undo_bytes: sizing.undo.0,
        index_bytes: sizing.index.0,
        reserve_bytes: sizing.reserve.0,
        volume_bytes: sizing.volume.0,
        disk_bytes: disk.map(|disk| disk.0),
        disk_window_seconds: reach.map(|reach| reach.as_secs()),
    }
}
