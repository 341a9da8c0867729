//! Bytes of a terminal as keys: xterm, the Linux console, and serial lines where function keys are typed as ESC and a digit.

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// A function key, 1 to 12.
    F(u8),
    /// Enter.
    Enter,
    /// Escape.
    Escape,
    /// Tab.
    Tab,
    /// Tab with shift.
    BackTab,
    /// Backspace, and delete.
    Backspace,
    /// Up.
    Up,
    /// Down.
    Down,
    /// Left.
    Left,
    /// Right.
    Right,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// The first.
    Home,
    /// The last.
    End,
    /// Control and L: draw everything again.
    Redraw,
}

/// Bytes a sequence may have; what is longer is none.
const SEQUENCE_LEN_MAX: usize = 16;

/// Reads keys from bytes, however they are cut.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
}

/// What the first bytes are.
enum Found {
    /// A key of so many bytes.
    Key(Key, usize),
    /// Nothing, of so many bytes.
    Nothing(usize),
    /// More is to come.
    Part,
}

impl Decoder {
    /// Takes bytes, and adds the keys they complete.
    pub fn take(&mut self, bytes: &[u8], keys: &mut Vec<Key>) {
        self.pending.extend_from_slice(bytes);
        loop {
            match first(&self.pending) {
                Found::Key(key, len) => {
                    keys.push(key);
                    self.pending.drain(..len);
                }
                Found::Nothing(len) => drop(self.pending.drain(..len)),
                Found::Part if self.pending.len() > SEQUENCE_LEN_MAX => self.pending.clear(),
                Found::Part => return,
            }
        }
    }

    /// Notes that nothing came for a while: what was begun is over, and an escape by itself is the key.
    pub fn idle(&mut self, keys: &mut Vec<Key>) {
        if self.pending.first() == Some(&0x1b) {
            keys.push(Key::Escape);
        }
        self.pending.clear();
    }
}

fn first(bytes: &[u8]) -> Found {
    let key = |key| Found::Key(key, 1);
    match bytes {
        [] => Found::Part,
        [0x1b, rest @ ..] => escape(rest),
        [b'\r' | b'\n', ..] => key(Key::Enter),
        [b'\t', ..] => key(Key::Tab),
        [0x08 | 0x7f, ..] => key(Key::Backspace),
        [0x0c, ..] => key(Key::Redraw),
        [byte, ..] if *byte < 0x20 => Found::Nothing(1),
        [byte, ..] if byte.is_ascii() => key(Key::Char(char::from(*byte))),
        _ => character(bytes),
    }
}

/// A character of several bytes.
fn character(bytes: &[u8]) -> Found {
    let len = match bytes[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Found::Nothing(1),
    };
    let Some(whole) = bytes.get(..len) else { return Found::Part };
    match std::str::from_utf8(whole).ok().and_then(|text| text.chars().next()) {
        Some(char) if !char.is_control() => Found::Key(Key::Char(char), len),
        Some(_) => Found::Nothing(len),
        None => Found::Nothing(1),
    }
}

fn escape(rest: &[u8]) -> Found {
    match rest {
        [] => Found::Part,
        [b'[', rest @ ..] => sequence(rest),
        [b'O', letter, ..] => match letter {
            b'P'..=b'S' => Found::Key(Key::F(letter - b'P' + 1), 3),
            _ => named(*letter).map_or(Found::Nothing(3), |key| Found::Key(key, 3)),
        },
        [b'O'] => Found::Part,
        // Serial lines: ESC and a digit, with ! and @ for the last two, as service processors have it.
        [digit @ b'1'..=b'9', ..] => Found::Key(Key::F(digit - b'0'), 2),
        [b'0', ..] => Found::Key(Key::F(10), 2),
        [b'!', ..] => Found::Key(Key::F(11), 2),
        [b'@', ..] => Found::Key(Key::F(12), 2),
        _ => Found::Key(Key::Escape, 1),
    }
}

/// What follows ESC and `[`.
fn sequence(rest: &[u8]) -> Found {
    if let [b'[', letter, ..] = rest {
        // The Linux console's F1 to F5.
        return match letter {
            b'A'..=b'E' => Found::Key(Key::F(letter - b'A' + 1), 4),
            _ => Found::Nothing(4),
        };
    }
    let Some(end) = rest.iter().position(|byte| (0x40..=0x7e).contains(byte)) else { return Found::Part };
    if rest[0] == b'[' {
        return Found::Part;
    }
    let len = end + 3;
    let number =
        std::str::from_utf8(&rest[..end]).ok().and_then(|text| text.split(';').next()?.parse::<u8>().ok());
    let key = match (rest[end], number) {
        (b'~', Some(number)) => numbered(number),
        (letter, _) => named(letter),
    };
    key.map_or(Found::Nothing(len), |key| Found::Key(key, len))
}

fn named(letter: u8) -> Option<Key> {
    Some(match letter {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'Z' => Key::BackTab,
        b'P'..=b'S' => Key::F(letter - b'P' + 1),
        _ => return None,
    })
}

fn numbered(number: u8) -> Option<Key> {
    Some(match number {
        1 | 7 => Key::Home,
        3 => Key::Backspace,
        4 | 8 => Key::End,
        5 => Key::PageUp,
        6 => Key::PageDown,
        11..=15 => Key::F(number - 10),
        17..=21 => Key::F(number - 11),
        23 | 24 => Key::F(number - 12),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(parts: &[&[u8]]) -> Vec<Key> {
        let (mut decoder, mut keys) = (Decoder::default(), Vec::new());
        parts.iter().for_each(|part| decoder.take(part, &mut keys));
        decoder.idle(&mut keys);
        keys
    }

    #[test]
    fn function_keys_are_read_from_every_kind_of_terminal() {
        for (bytes, number) in [
            ("\x1bOQ", 2),
            ("\x1b[12~", 2),
            ("\x1b[[B", 2),
            ("\x1b2", 2),
            ("\x1bOR", 3),
            ("\x1b[13~", 3),
            ("\x1b[[C", 3),
            ("\x1b[24~", 12),
            ("\x1b@", 12),
            ("\x1b[15~", 5),
            ("\x1b[17~", 6),
            ("\x1b[21~", 10),
            ("\x1b[24;5~", 12),
        ] {
            assert_eq!(keys(&[bytes.as_bytes()]), [Key::F(number)], "{bytes:?}");
            let single: Vec<&[u8]> = bytes.as_bytes().chunks(1).collect();
            assert_eq!(keys(&single), [Key::F(number)], "{bytes:?}, byte by byte");
        }
    }

    #[test]
    fn an_escape_by_itself_is_one_and_letters_follow_it() {
        assert_eq!(keys(&[b"\x1b"]), [Key::Escape]);
        assert_eq!(keys(&[b"\x1b\x1b[A"]), [Key::Escape, Key::Up]);
        assert_eq!(keys(&[b"\x1bx"]), [Key::Escape, Key::Char('x')]);
    }

    #[test]
    fn what_is_no_key_is_nothing_and_disturbs_nothing() {
        assert_eq!(keys(&["a\u{85}é€\x01\u{202e}b".as_bytes()]).len(), 5);
        assert_eq!(keys(&[b"\xff\xc3\xc3\xa9z"]), [Key::Char('é'), Key::Char('z')]);
        let mut long = b"\x1b[".to_vec();
        long.extend([b'1'; 64]);
        assert!(keys(&[&long]).iter().all(|key| *key != Key::Char('[')));
        for byte in 0..=255_u8 {
            for second in [b'[', b'O', 0x1b, 0xff, b'~'] {
                keys(&[&[0x1b, byte, second, byte, second]]);
            }
        }
    }
}
