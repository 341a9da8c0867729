//! The status screen, grey over yellow, and the live view.

use ratatui_core::style::{Color, Modifier, Style};

use super::pen::Pen;
use super::{GREY, YELLOW};
use crate::glance::{Glance, Tone};

/// Machines on the status screen; the live view has them all.
const MACHINES_MAX: usize = 7;

pub(super) fn toned(tone: Tone, style: Style) -> Style {
    match tone {
        Tone::Unknown | Tone::Good => style,
        Tone::Warn => style.fg(Color::Blue).add_modifier(Modifier::BOLD),
        Tone::Bad => style.bg(Color::Red).fg(Color::White),
    }
}

pub(super) fn draw(glance: &Glance, pen: &mut Pen<'_>) {
    let (width, height) = (pen.width(), pen.height());
    let middle = height - height / 3;
    pen.rows(0, middle, GREY);
    pen.rows(middle, height, YELLOW);
    let strong = GREY.add_modifier(Modifier::BOLD);
    pen.line(4, 1, width, &format!("Landfall {}", glance.version), strong);
    pen.line(4, 3, width, &glance.host, strong);
    pen.line(4, 4, width - 6, &glance.health, toned(glance.tone, GREY));
    pen.line(4, 5, width - 6, &glance.volume, GREY);
    let rows = usize::from(middle.saturating_sub(9)).min(MACHINES_MAX);
    if glance.machines.is_empty() {
        pen.line(4, 7, width, "No machine is protected yet.", GREY);
    } else {
        machine_lines(glance, 7, rows, pen);
    }
    let beyond = glance.machines.len().saturating_sub(rows);
    if beyond > 0 {
        pen.line(4, middle - 1, width, &format!("and {beyond} more: <F3>"), GREY);
    }
    pen.line(4, middle + 1, width, "This appliance is reached at:", YELLOW);
    let addresses: Vec<_> =
        glance.nics.iter().flat_map(|nic| nic.addresses.iter().map(|address| (address, &nic.name))).collect();
    let room = height.saturating_sub(middle + 5);
    if addresses.is_empty() {
        pen.line(4, middle + 2, width, "no address: no cable, or no answer from DHCP", YELLOW);
    }
    for (row, (address, nic)) in (0..room).zip(&addresses) {
        let host = address.split('/').next().unwrap_or_default();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        pen.line(4, middle + 2 + row, width, &format!("https://{host}/ ({nic})"), YELLOW);
    }
    if let Some(fingerprint) = &glance.fingerprint {
        pen.line(2, height - 3, width - 2, &format!("Fingerprint {fingerprint}"), YELLOW);
    }
    pen.line(
        1,
        height - 1,
        width,
        "<F2> Customize/View Logs   <F3> Live view",
        YELLOW.add_modifier(Modifier::BOLD),
    );
    pen.right(height - 1, "<F12> Shut Down/Restart", YELLOW.add_modifier(Modifier::BOLD));
}

fn machine_lines(glance: &Glance, top: u16, rows: usize, pen: &mut Pen<'_>) {
    let width = pen.width();
    let line = |name: &str, phase: &str, rpo: &str, history: &str| {
        format!("{name:<22.22} {phase:<14.14} {rpo:>12.12} {history:>18.18}")
    };
    pen.line(
        4,
        top,
        width,
        &line("MACHINE", "PHASE", "RPO", "HISTORY LEFT"),
        GREY.add_modifier(Modifier::BOLD),
    );
    for (row, machine) in (top + 1..).zip(glance.machines.iter().take(rows)) {
        let text = line(&machine.name, &machine.phase, &machine.rpo, &machine.history);
        pen.line(4, row, width, &text, toned(machine.tone, GREY));
    }
}

pub(super) fn live(glance: &Glance, pen: &mut Pen<'_>) {
    let (width, height) = (pen.width(), pen.height());
    pen.rows(0, 1, YELLOW);
    pen.rows(1, height - 1, GREY);
    pen.rows(height - 1, height, YELLOW);
    pen.line(1, 0, width, "Live view", YELLOW.add_modifier(Modifier::BOLD));
    pen.right(0, &glance.host, YELLOW);
    pen.line(4, 2, width - 6, &glance.health, toned(glance.tone, GREY));
    pen.line(4, 3, width - 6, &glance.volume, GREY);
    let jobs = u16::try_from(glance.jobs.len().min(4)).unwrap_or(4);
    let rows = usize::from(height.saturating_sub(9 + jobs));
    machine_lines(glance, 5, rows, pen);
    let beyond = glance.machines.len().saturating_sub(rows);
    if beyond > 0 {
        pen.line(
            4,
            height - 3 - jobs,
            width,
            &format!("and {beyond} more: `landfall status` shows them"),
            GREY,
        );
    }
    for (row, job) in (height - 2 - jobs..).zip(glance.jobs.iter().take(jobs.into())) {
        pen.line(4, row, width - 6, job, GREY);
    }
    pen.line(1, height - 1, width, "<Esc> Back", YELLOW.add_modifier(Modifier::BOLD));
}
