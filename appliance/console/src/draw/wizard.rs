//! First boot, question by question.

use ratatui_core::style::Modifier;

use super::above::{fields, frame, paragraph};
use super::pen::Pen;
use super::{FAULT, FOCUS, GREY, YELLOW};
use crate::console::Console;
use crate::wizard::{Step, Wizard};

/// Disks on one screen.
const DISKS_MAX: usize = 6;

pub(super) fn draw(console: &Console, wizard: &Wizard, pen: &mut Pen<'_>) {
    let (number, count) = wizard.place();
    let title = match (&console.question, wizard.step) {
        (Some(form), _) => form.title.as_str(),
        (None, Step::Retention) => "Retention disk",
        (None, _) => "Ready",
    };
    let keys = match wizard.step {
        Step::HostName | Step::Servers | Step::Password => "<Enter> OK   <Tab> Next",
        Step::Nic(_) => "<Enter> OK   <Tab> Next   <Left/Right> Choose   <Esc> Interface before",
        Step::Retention => "<Up/Down> Select   <Enter> OK",
        Step::Ready => "<Enter> OK",
    };
    frame(&format!("Landfall: first boot, {number} of {count}: {title}"), keys, pen);
    pen.right(0, &console.glance.version, YELLOW);
    match (&console.question, wizard.step) {
        (Some(form), _) => fields(form, 3, pen),
        (None, Step::Retention) => disks(console, pen),
        (None, _) => ready(console, pen),
    }
}

fn disks(console: &Console, pen: &mut Pen<'_>) {
    let about = "The disk that holds the history of all machines. It must be empty, and is used for nothing else. One that is attached now appears at once.";
    let mut row = 4 + paragraph(2, about, pen);
    let disks = &console.glance.disks;
    if disks.is_empty() {
        pen.line(
            4,
            row,
            pen.width(),
            "There is no disk yet: attach one to this machine.",
            GREY.add_modifier(Modifier::BOLD),
        );
        row += 2;
    }
    let first = console.disk.saturating_sub(DISKS_MAX - 1);
    for (place, disk) in disks.iter().enumerate().skip(first).take(DISKS_MAX) {
        let style = if place == console.disk { FOCUS } else { GREY };
        let width = pen.width();
        pen.fill(3, row, width - 6, 1, style);
        pen.line(4, row, width - 8, &format!("{:<24.24} {:>12.12}", disk.path, disk.size), style);
        let verdict = disk.refused.as_deref().unwrap_or("can hold the history");
        pen.line(44, row, width - 48, if disk.refused.is_some() { "no:" } else { "yes" }, style);
        if disk.refused.is_some() {
            row += 1;
            pen.words(8, row, width - 12, 1, verdict, GREY);
        }
        row += 1;
    }
    if let Some(fault) = &console.fault {
        let width = pen.width() - 8;
        pen.words(4, row + 1, width, 3, fault, FAULT);
    }
}

fn ready(console: &Console, pen: &mut Pen<'_>) {
    let strong = GREY.add_modifier(Modifier::BOLD);
    let glance = &console.glance;
    let mut row = 3 + paragraph(
        2,
        "The appliance is set up. From now on it is managed from elsewhere, and looked at here.",
        pen,
    );
    let width = pen.width();
    for nic in &glance.nics {
        for address in &nic.addresses {
            pen.line(4, row, width, &format!("{:<14} {address}", nic.name.as_str()), GREY);
            row += 1;
        }
    }
    row += 1;
    if let Some(fingerprint) = &glance.fingerprint {
        pen.line(4, row, width, "Its fingerprint, to be compared with what others are shown:", GREY);
        row += 1 + pen.words(4, row + 1, width - 8, 2, fingerprint, strong) + 1;
    }
    if let Some(token) = &console.token {
        pen.line(4, row, width, "The first token. With it one operator logs in, once, within an hour:", GREY);
        row += 1 + pen.words(4, row + 1, width - 8, 4, token, strong) + 1;
        pen.words(
            4,
            row,
            width - 8,
            2,
            "It is shown only now; another one is made behind <F2>. Enter ends the first boot.",
            GREY,
        );
    }
    if let Some(fault) = &console.fault {
        row += pen.words(4, row, width - 8, 4, fault, FAULT) + 1;
        pen.line(4, row, width, "Enter tries again.", GREY);
    }
}
