//! Forms, menus and what else is above the first screen.

use ratatui_core::style::Modifier;

use super::pen::Pen;
use super::status::live;
use super::{FAULT, FOCUS, GREY, YELLOW};
use crate::console::{Console, Screen, TRIAL_HINT};
use crate::form::{Field, Form};
use crate::menu::{Item, Menu};

/// Where the right half of a menu begins.
const RIGHT: u16 = 36;
/// Where values of a form begin, and how wide they are.
const VALUE: u16 = 22;
const VALUE_WIDTH: u16 = 54;

pub(super) fn draw(console: &Console, screen: &Screen, pen: &mut Pen<'_>) {
    match screen {
        Screen::Live => live(&console.glance, pen),
        Screen::Login(form, _) | Screen::Proof(form) => {
            frame(&form.title, "<Enter> OK   <F4> Password lost   <Esc> Cancel", pen);
            fields(form, 3, pen);
        }
        Screen::Menu(menu, at) => draw_menu(*menu, *at, pen),
        Screen::Nics(at) => draw_nics(console, *at, pen),
        Screen::Nic(form, _) | Screen::Servers(form) | Screen::NewPassword(form) => {
            frame(&form.title, "<Enter> OK   <Tab> Next   <Left/Right> Choose   <Esc> Cancel", pen);
            fields(form, 3, pen);
        }
        Screen::Trial => draw_trial(console, pen),
        Screen::Confirm(item) => {
            frame(item.name(), "<F11> or <y> OK   <Esc> Cancel", pen);
            paragraph(3, item.about(), pen);
            pen.line(4, 8, pen.width(), &format!("{}?", item.name()), GREY.add_modifier(Modifier::BOLD));
        }
        Screen::Notice(title, said) => {
            frame(title, "<Enter> OK", pen);
            paragraph(3, said, pen);
        }
        Screen::Log(lines, at) => draw_log(lines, *at, pen),
    }
}

/// The bars above and below, and grey between.
pub(super) fn frame(title: &str, keys: &str, pen: &mut Pen<'_>) {
    let (width, height) = (pen.width(), pen.height());
    pen.rows(0, 1, YELLOW);
    pen.rows(1, height - 1, GREY);
    pen.rows(height - 1, height, YELLOW);
    pen.line(1, 0, width - 2, title, YELLOW.add_modifier(Modifier::BOLD));
    pen.line(1, height - 1, width - 2, keys, YELLOW.add_modifier(Modifier::BOLD));
}

pub(super) fn paragraph(top: u16, text: &str, pen: &mut Pen<'_>) -> u16 {
    let (width, height) = (pen.width().saturating_sub(8), pen.height().saturating_sub(top + 1));
    pen.words(4, top, width, height, text, GREY)
}

/// Fields, what is wrong, and what there is to know.
pub(super) fn fields(form: &Form, top: u16, pen: &mut Pen<'_>) {
    let mut row = top;
    for (at, field) in form.fields.iter().enumerate() {
        let focus = at == form.focus;
        let (label, shown) = match field {
            Field::Text { label, value } => (*label, tail(value, focus)),
            Field::Secret { label, value } => (*label, tail(&"*".repeat(value.chars().count()), focus)),
            Field::Choice { label, options, at } => (*label, choices(options, *at)),
        };
        pen.line(4, row, VALUE - 5, label, GREY);
        let style = if focus { FOCUS } else { GREY.add_modifier(Modifier::UNDERLINED) };
        pen.fill(VALUE, row, VALUE_WIDTH, 1, style);
        pen.line(VALUE + 1, row, VALUE_WIDTH - 2, &shown, style);
        row += 1;
    }
    row += 1;
    if let Some(fault) = &form.fault {
        let width = pen.width().saturating_sub(8);
        row += pen.words(4, row, width, 4, fault, FAULT) + 1;
    }
    paragraph(row, &form.about, pen);
}

/// The end of what was typed, and the place where it goes on.
fn tail(value: &str, focus: bool) -> String {
    let room = usize::from(VALUE_WIDTH - 4);
    let skipped = value.chars().count().saturating_sub(room);
    let shown: String = value.chars().skip(skipped).collect();
    if focus { shown + "_" } else { shown }
}

fn choices(options: &[&str], at: usize) -> String {
    let each = options.iter().enumerate().map(|(place, option)| {
        let mark = if place == at { "(o)" } else { "( )" };
        format!("{mark} {option}")
    });
    each.collect::<Vec<_>>().join("   ")
}

fn draw_menu(menu: Menu, at: usize, pen: &mut Pen<'_>) {
    frame(menu.title(), "<Up/Down> Select   <Enter> Change   <Esc> Log Out", pen);
    let names: Vec<_> = menu.items().iter().map(|item| item.name().to_owned()).collect();
    list(&names, at, RIGHT - 4, pen);
    let item: &Item = &menu.items()[at];
    pen.line(RIGHT, 3, pen.width(), item.name(), GREY.add_modifier(Modifier::BOLD));
    let (width, height) = (pen.width().saturating_sub(RIGHT + 4), pen.height().saturating_sub(6));
    pen.words(RIGHT, 5, width, height, item.about(), GREY);
}

fn list(names: &[String], at: usize, width: u16, pen: &mut Pen<'_>) {
    for (row, (place, name)) in (3..).zip(names.iter().enumerate()) {
        let style = if place == at { FOCUS } else { GREY };
        pen.fill(3, row, width - 2, 1, style);
        pen.line(4, row, width - 4, name, style);
    }
}

fn draw_nics(console: &Console, at: usize, pen: &mut Pen<'_>) {
    frame("Configure Network", "<Up/Down> Select   <Enter> Change   <Esc> Back", pen);
    let nics = &console.glance.nics;
    list(&nics.iter().map(|nic| nic.name.to_string()).collect::<Vec<_>>(), at, RIGHT - 4, pen);
    let Some(nic) = nics.get(at) else {
        paragraph(3, "There is no network interface.", pen);
        return;
    };
    pen.line(RIGHT, 3, pen.width(), nic.name.as_str(), GREY.add_modifier(Modifier::BOLD));
    pen.line(RIGHT, 5, pen.width(), &nic.mac.to_string(), GREY);
    pen.line(RIGHT, 6, pen.width(), if nic.carrier { "cable plugged in" } else { "no cable" }, GREY);
    for (row, address) in (8..).zip(nic.addresses.iter().take(8)) {
        pen.line(RIGHT, row, pen.width(), address, GREY);
    }
}

fn draw_trial(console: &Console, pen: &mut Pen<'_>) {
    frame("The network is tried", "<Enter> Keep it   <Esc> Back to the one before", pen);
    let rows = paragraph(3, TRIAL_HINT, pen);
    let mut row = 4 + rows;
    for nic in &console.glance.nics {
        let addresses =
            if nic.addresses.is_empty() { "no address yet".to_owned() } else { nic.addresses.join(", ") };
        pen.line(4, row, pen.width(), &format!("{:<16.16} {addresses}", nic.name.as_str()), GREY);
        row += 1;
    }
    let left = console.glance.trial_left.unwrap_or(0);
    pen.line(
        4,
        row + 1,
        pen.width(),
        &format!("Rolled back by itself in {left} s."),
        GREY.add_modifier(Modifier::BOLD),
    );
}

fn draw_log(lines: &[String], at: usize, pen: &mut Pen<'_>) {
    frame("Log", "<Up/Down/PgUp/PgDn> Scroll   <Esc> Back", pen);
    let rows = usize::from(pen.height().saturating_sub(2));
    for (row, line) in (1..).zip(lines.iter().skip(at).take(rows)) {
        pen.line(1, row, pen.width() - 2, line, GREY);
    }
}
