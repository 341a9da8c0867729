//! What each screen looks like: a function of the console to the cells of a screen of any size; 80×24 is enough.

/// Forms, menus and what is above the first screen.
mod above;
/// Words on a screen.
mod pen;
/// The status screen and the live view.
mod status;
/// First boot.
mod wizard;

use ratatui_core::buffer::Buffer;
use ratatui_core::style::{Color, Style};

use crate::console::Console;
use crate::draw::pen::Pen;

/// The upper part.
const GREY: Style = Style::new().bg(Color::Gray).fg(Color::Black);
/// The lower part, and what stands on top.
const YELLOW: Style = Style::new().bg(Color::Yellow).fg(Color::Black);
/// Where keys go to.
const FOCUS: Style = Style::new().bg(Color::Black).fg(Color::White);
/// What is wrong.
const FAULT: Style = Style::new().bg(Color::Red).fg(Color::White);

/// Draws the console over a whole screen.
pub fn draw(console: &Console, buffer: &mut Buffer) {
    let mut pen = Pen::new(buffer);
    match (console.top(), &console.wizard) {
        (Some(screen), _) => above::draw(console, screen, &mut pen),
        (None, Some(wizard)) => wizard::draw(console, wizard, &mut pen),
        (None, None) => status::draw(&console.glance, &mut pen),
    }
    if let Some(busy) = console.busy {
        pen.banner(&format!("Please wait: {busy} ..."), FOCUS);
    } else if console.glance.elsewhere && (console.wizard.is_some() || console.top().is_some()) {
        pen.banner("Another console of this appliance is in use; this one waits.", FOCUS);
    }
}
