//! Colours, where they are wanted, and text that can't harm a terminal.

/// What a word's colour says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing in particular.
    #[default]
    Plain,
    /// A heading.
    Strong,
    /// Well.
    Good,
    /// Needs attention.
    Warn,
    /// A person must act.
    Bad,
}

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// Escape sequences are written.
    Colour,
    /// They are not.
    Mono,
}

impl Paint {
    /// Returns `text` in a tone.
    pub(crate) fn tone(self, tone: Tone, text: &str) -> String {
        let sequence = match (self, tone) {
            (Self::Mono, _) | (_, Tone::Plain) => return text.to_owned(),
            (_, Tone::Strong) => "1",
            (_, Tone::Good) => "32",
            (_, Tone::Warn) => "33",
            (_, Tone::Bad) => "31;1",
        };
        format!("\x1b[{sequence}m{text}\x1b[0m")
    }
}

/// Returns text that came from elsewhere without anything that steers a terminal: control characters and marks that turn
/// the direction of writing become `\u{fffd}`.
pub(crate) fn harmless(text: &str) -> String {
    let steers = |char: char| {
        char.is_control()
            || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|char| if steers(char) { '\u{fffd}' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_elsewhere_can_not_steer_the_terminal() {
        assert_eq!(
            harmless("a\x1b[2Jb\r\n\u{9b}c\u{202e}d é"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}c\u{fffd}d é"
        );
    }

    #[test]
    fn mono_writes_no_escapes() {
        assert_eq!(Paint::Mono.tone(Tone::Bad, "x"), "x");
        assert_eq!(Paint::Colour.tone(Tone::Bad, "x"), "\x1b[31;1mx\x1b[0m");
    }
}
