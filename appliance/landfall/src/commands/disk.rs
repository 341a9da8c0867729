//! `landfall disk list`

use control::ErrorReply;
use control::api::{Disk, DiskList, Disks, Eligibility};
use units::ByteLen;

use super::Context;
use crate::paint::Tone;
use crate::screen::Ending;
use crate::table::{Cell, Column, Table};

/// Lists every block device.
pub(super) fn list(context: &Context<'_>) -> Result<Ending, ErrorReply> {
    let disks = context.ask(DiskList {})?;
    context.screen.show(&disks, |disks: &Disks, paint| match disks.disks.as_slice() {
        [] => "no block devices\n".to_owned(),
        disks => table(disks).render(paint),
    })?;
    Ok(Ending::Done)
}

fn table(disks: &[Disk]) -> Table {
    use Column::{Number, Text};
    let mut table = Table::new([
        Text("PATH"),
        Number("SIZE"),
        Number("SECTOR"),
        Text("MODEL"),
        Text("SERIAL"),
        Text("CAN BE A TARGET DISK"),
    ]);
    for disk in disks {
        table.row([
            disk.path.as_str().into(),
            ByteLen(disk.len_bytes).to_string().into(),
            disk.sector_bytes.to_string().into(),
            disk.model.as_str().into(),
            disk.serial.as_str().into(),
            match &disk.eligible {
                Eligibility::Yes {} => Cell::toned(Tone::Good, "yes"),
                Eligibility::Used { by } => Cell::toned(Tone::Plain, format!("used: {by}")),
                Eligibility::No { reason } => Cell::toned(Tone::Warn, format!("no: {reason}")),
            },
        ]);
    }
    table
}
