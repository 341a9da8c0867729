//! Fields and forms.

use zeroize::Zeroize;

use crate::key::Key;

/// Characters a field takes.
const LEN_MAX: usize = 200;

/// A field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Something typed.
    Text {
        /// What it is.
        label: &'static str,
        /// What was typed.
        value: String,
    },
    /// Something typed that nobody should see.
    Secret {
        /// What it is.
        label: &'static str,
        /// What was typed.
        value: String,
    },
    /// One of several.
    Choice {
        /// What it is.
        label: &'static str,
        /// What there is.
        options: &'static [&'static str],
        /// Which is chosen.
        at: usize,
    },
}

/// A form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// What it is about.
    pub title: String,
    /// What there is to know, in sentences.
    pub about: String,
    /// Its fields, at least one.
    pub fields: Vec<Field>,
    /// The field that keys go to.
    pub focus: usize,
    /// What is wrong with what was typed.
    pub fault: Option<String>,
}

/// What a key came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pressed {
    /// Nothing more.
    Within,
    /// The form is filled in.
    Submit,
    /// Not this.
    Back,
}

impl Form {
    pub(crate) fn new(title: impl Into<String>, about: impl Into<String>, fields: Vec<Field>) -> Self {
        assert!(!fields.is_empty(), "a form asks something");
        Self { title: title.into(), about: about.into(), fields, focus: 0, fault: None }
    }

    /// Returns what is in a field, without blanks around it; the name of what is chosen.
    pub(crate) fn value(&self, at: usize) -> &str {
        match &self.fields[at] {
            Field::Text { value, .. } => value.trim(),
            Field::Secret { value, .. } => value,
            Field::Choice { options, at, .. } => options[*at],
        }
    }

    /// Refuses what was typed, for a reason; the field in question gets the keys.
    pub(crate) fn refuse(&mut self, field: usize, why: impl Into<String>) {
        self.focus = field.min(self.fields.len() - 1);
        self.fault = Some(why.into());
    }

    pub(crate) fn key(&mut self, key: Key) -> Pressed {
        let last = self.fields.len() - 1;
        match (key, &mut self.fields[self.focus]) {
            (Key::Enter, _) => return Pressed::Submit,
            (Key::Escape, _) => return Pressed::Back,
            (Key::Tab | Key::Down, _) => self.focus = if self.focus == last { 0 } else { self.focus + 1 },
            (Key::BackTab | Key::Up, _) => self.focus = self.focus.checked_sub(1).unwrap_or(last),
            (Key::Left, Field::Choice { options, at, .. }) => {
                *at = at.checked_sub(1).unwrap_or(options.len() - 1)
            }
            (Key::Right | Key::Char(' '), Field::Choice { options, at, .. }) => {
                *at = (*at + 1) % options.len()
            }
            (Key::Char(char), Field::Text { value, .. } | Field::Secret { value, .. })
                if value.chars().count() < LEN_MAX =>
            {
                value.push(char);
            }
            (Key::Backspace, Field::Text { value, .. } | Field::Secret { value, .. }) => drop(value.pop()),
            _ => return Pressed::Within,
        }
        self.fault = None;
        Pressed::Within
    }
}

impl Drop for Form {
    fn drop(&mut self) {
        for field in &mut self.fields {
            if let Field::Secret { value, .. } = field {
                value.zeroize();
            }
        }
    }
}

/// Returns a field for a text.
pub(crate) fn text(label: &'static str, value: impl Into<String>) -> Field {
    Field::Text { label, value: value.into() }
}

/// Returns a field for a secret. It has room from the start, so that no copy of it is left behind where it grows.
pub(crate) fn secret(label: &'static str) -> Field {
    Field::Secret { label, value: String::with_capacity(LEN_MAX * 4) }
}
