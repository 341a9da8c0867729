//! core: the appliance's console: first boot asked step by step, then a status screen with menus behind a password.
//!
//! [`Console`] is a function of what happens ([`Event`]: a key, a look at the appliance, the end of a piece of work) to what is to be
//! done ([`Effect`]); [`draw`] is a function of its state to cells of a screen. *Invariants:* no terminal, file or clock is touched;
//! nothing but the status screen and the live view is shown without the password; every screen fits 80×24; no text from elsewhere
//! reaches the terminal but as plain characters. What this crate does not do: it applies nothing, and knows no default password.

/// What is shown for which key.
mod console;
/// What each screen looks like.
mod draw;
/// Fields and forms.
mod form;
/// Bytes of a terminal as keys.
mod key;
/// Menus.
mod menu;
/// The network as forms.
mod network;
/// The order of first boot.
mod wizard;

/// What is shown for which key.
pub use console::{Console, Done, Effect, Event, Screen, TRIAL_HINT};
/// What each screen looks like.
pub use draw::draw;
/// Fields and forms.
pub use form::{Field, Form};
/// What the appliance looks like at a moment.
pub use glance::{Answered, Disk, Glance, MachineLine, Nic, Tone};
/// Bytes of a terminal as keys.
pub use key::{Decoder, Key};
/// Menus.
pub use menu::{Item, Menu};
/// The order of first boot.
pub use wizard::{Step, Wizard};

/// What the appliance looks like at a moment.
mod glance;
