//! Words on a screen: cut at its edges, plain characters alone.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;

/// Writes on a screen.
pub(super) struct Pen<'a> {
    buffer: &'a mut Buffer,
}

impl<'a> Pen<'a> {
    pub(super) fn new(buffer: &'a mut Buffer) -> Self {
        Self { buffer }
    }

    pub(super) fn width(&self) -> u16 {
        self.buffer.area.width
    }

    pub(super) fn height(&self) -> u16 {
        self.buffer.area.height
    }

    /// Fills rows from `top` to before `end`.
    pub(super) fn rows(&mut self, top: u16, end: u16, style: Style) {
        let width = self.width();
        self.fill(0, top, width, end.saturating_sub(top), style);
    }

    pub(super) fn fill(&mut self, x: u16, y: u16, width: u16, height: u16, style: Style) {
        let area = Rect { x, y, width, height }.intersection(self.buffer.area);
        for row in area.top()..area.bottom() {
            let blank = " ".repeat(area.width.into());
            self.buffer.set_stringn(area.x, row, blank, area.width.into(), style);
        }
        self.buffer.set_style(area, style);
    }

    /// Writes one line, cut at `width`.
    pub(super) fn line(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) {
        let room = self.width().saturating_sub(x).min(width);
        if y < self.height() && room > 0 {
            self.buffer.set_stringn(x, y, plain(text), room.into(), style);
        }
    }

    /// Writes one line that ends at the right edge.
    pub(super) fn right(&mut self, y: u16, text: &str, style: Style) {
        let len = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
        let x = self.width().saturating_sub(len.saturating_add(2));
        self.line(x, y, len, text, style);
    }

    /// Writes sentences between `x` and `x + width`, on at most `height` rows. Returns how many were needed.
    pub(super) fn words(&mut self, x: u16, y: u16, width: u16, height: u16, text: &str, style: Style) -> u16 {
        let lines = wrap(&plain(text), width.into());
        let shown = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(height);
        for (row, line) in (y..y.saturating_add(shown)).zip(&lines) {
            self.line(x, row, width, line, style);
        }
        shown
    }

    /// Writes a line over the middle of the screen.
    pub(super) fn banner(&mut self, text: &str, style: Style) {
        let len = u16::try_from(text.chars().count()).unwrap_or(u16::MAX).min(self.width().saturating_sub(4));
        let (x, y) = (self.width().saturating_sub(len.saturating_add(4)) / 2, self.height() / 2);
        self.fill(x, y.saturating_sub(1), len.saturating_add(4), 3, style);
        self.line(x.saturating_add(2), y, len, text, style);
    }
}

/// Returns a text without anything that steers a terminal or turns the direction of writing.
fn plain(text: &str) -> String {
    let steers = |char: char| {
        char.is_control()
            || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|char| if steers(char) { '?' } else { char }).collect()
}

/// Cuts a text into lines of at most `width` characters, between words where that can be.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let (mut lines, mut line, mut len) = (Vec::new(), String::new(), 0);
    for word in text.split_whitespace() {
        let mut rest: Vec<char> = word.chars().collect();
        let gap = usize::from(len > 0);
        if len + gap + rest.len() > width && len > 0 {
            lines.push(std::mem::take(&mut line));
            len = 0;
        }
        while rest.len() > width.max(1) {
            lines.push(rest.drain(..width.max(1)).collect());
        }
        if len > 0 {
            line.push(' ');
            len += 1;
        }
        len += rest.len();
        line.extend(rest);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_between_and_long_ones_within() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("a bcdefghij k", 4), ["a", "bcde", "fghi", "j k"]);
        assert_eq!(wrap("", 4), Vec::<String>::new());
    }

    #[test]
    fn nothing_written_reaches_beyond_the_screen_or_steers_it() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 4, 2));
        let mut pen = Pen::new(&mut buffer);
        pen.line(3, 9, 10, "below", Style::new());
        pen.line(2, 1, 10, "\x1b[2Jx", Style::new());
        pen.right(0, "longer than all", Style::new());
        pen.banner("wide enough to be cut", Style::new());
        assert!(buffer.content.iter().all(|cell| !cell.symbol().contains('\x1b')));
    }
}
