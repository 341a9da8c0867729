//! Keys on what is above the first screen.

use netplan::Plan;

use super::{Console, Effect, Screen};
use crate::form::{Form, Pressed, text};
use crate::glance::Nic;
use crate::key::Key;
use crate::menu::{Item, Menu};
use crate::network::{nic_form, read_nic, read_servers, servers_form};
use crate::wizard::{password_form, read_password};

impl Console {
    pub(super) fn key_on(&mut self, screen: Screen, key: Key, effects: &mut Vec<Effect>) {
        match screen {
            Screen::Live | Screen::Notice(..) if matches!(key, Key::Escape | Key::Enter | Key::F(3)) => {
                self.left()
            }
            Screen::Login(form, menu) if key == Key::F(4) => {
                let about = format!(
                    "Whoever has this console may set a new password. To prove that somebody reads it, type the code that is shown here: {}",
                    self.glance.proof
                );
                self.stack.push(Screen::Login(form, menu));
                self.stack.push(Screen::Proof(Form::new("Password lost", about, vec![text("Code", "")])));
            }
            Screen::Login(mut form, menu) => match form.key(key) {
                Pressed::Back => {}
                Pressed::Within => self.stack.push(Screen::Login(form, menu)),
                Pressed::Submit => {
                    let password = form.value(0).to_owned().into();
                    self.stack.push(Screen::Login(form, menu));
                    self.begin("the password is compared", Effect::CheckPassword(password), effects);
                }
            },
            Screen::Proof(mut form) => match form.key(key) {
                Pressed::Back => {}
                Pressed::Submit if !self.glance.proof.is_empty() && form.value(0) == self.glance.proof => {
                    self.stack.push(Screen::NewPassword(password_form("New password")));
                }
                Pressed::Submit => {
                    form.refuse(0, "this is not the code that is shown");
                    self.stack.push(Screen::Proof(form));
                }
                Pressed::Within => self.stack.push(Screen::Proof(form)),
            },
            Screen::Menu(menu, at) => self.key_on_menu(menu, at, key, effects),
            Screen::Nics(at) => match key {
                Key::Escape => {}
                Key::Up => self.stack.push(Screen::Nics(at.saturating_sub(1))),
                Key::Down => {
                    self.stack.push(Screen::Nics((at + 1).min(self.glance.nics.len().saturating_sub(1))))
                }
                Key::Enter => {
                    self.stack.push(Screen::Nics(at));
                    self.open_nic(at);
                }
                _ => self.stack.push(Screen::Nics(at)),
            },
            Screen::Nic(mut form, nic) => match form.key(key) {
                Pressed::Back => {}
                Pressed::Within => self.stack.push(Screen::Nic(form, nic)),
                Pressed::Submit => {
                    if let Some(plan) = self.changed(&mut form, &nic) {
                        self.begin("the network is set up", Effect::TryPlan(plan), effects);
                    }
                    self.stack.push(Screen::Nic(form, nic));
                }
            },
            Screen::Servers(mut form) => match form.key(key) {
                Pressed::Back => {}
                Pressed::Within => self.stack.push(Screen::Servers(form)),
                Pressed::Submit => {
                    if let Some(plan) = read_servers(&mut form, &self.glance) {
                        self.begin("the servers are told to the system", Effect::SetServers(plan), effects);
                    }
                    self.stack.push(Screen::Servers(form));
                }
            },
            Screen::NewPassword(mut form) => match form.key(key) {
                Pressed::Back => {}
                Pressed::Within => self.stack.push(Screen::NewPassword(form)),
                Pressed::Submit => {
                    if let Some(password) = read_password(&mut form) {
                        self.begin("the password is hashed", Effect::SetPassword(password.into()), effects);
                    }
                    self.stack.push(Screen::NewPassword(form));
                }
            },
            Screen::Trial => {
                self.stack.push(Screen::Trial);
                match key {
                    Key::Enter => self.begin("the network is kept", Effect::KeepPlan, effects),
                    Key::Escape => self.begin("the network is rolled back", Effect::RollBack, effects),
                    _ => {}
                }
            }
            Screen::Confirm(item) => match key {
                Key::Escape | Key::Char('n' | 'N') => {}
                Key::F(11) | Key::Char('y' | 'Y') => self.carry_out(item, effects),
                _ => self.stack.push(Screen::Confirm(item)),
            },
            Screen::Log(lines, at) => {
                let last = lines.len().saturating_sub(1);
                let at = match key {
                    Key::Escape => return,
                    Key::Up => at.saturating_sub(1),
                    Key::Down => (at + 1).min(last),
                    Key::PageUp => at.saturating_sub(15),
                    Key::PageDown => (at + 15).min(last),
                    Key::Home => 0,
                    Key::End => last,
                    _ => at,
                };
                self.stack.push(Screen::Log(lines, at));
            }
            other @ (Screen::Live | Screen::Notice(..)) => self.stack.push(other),
        }
        self.left();
    }

    fn key_on_menu(&mut self, menu: Menu, at: usize, key: Key, effects: &mut Vec<Effect>) {
        assert!(self.known, "menus stand behind the password");
        let items = menu.items();
        match key {
            Key::Escape => return,
            Key::Up => self.stack.push(Screen::Menu(menu, at.checked_sub(1).unwrap_or(items.len() - 1))),
            Key::Down => self.stack.push(Screen::Menu(menu, (at + 1) % items.len())),
            _ => self.stack.push(Screen::Menu(menu, at)),
        }
        if key == Key::Enter {
            match items[at] {
                Item::Network => self.stack.push(Screen::Nics(0)),
                Item::Servers => self.stack.push(Screen::Servers(servers_form(&self.glance))),
                Item::Password => self.stack.push(Screen::NewPassword(password_form("New password"))),
                Item::Token => self.begin("the token is made", Effect::MakeToken, effects),
                Item::Log => self.begin("the log is read", Effect::ReadLog, effects),
                item @ (Item::ResetNetwork | Item::PowerOff | Item::Restart) => {
                    self.stack.push(Screen::Confirm(item))
                }
            }
        }
    }

    fn open_nic(&mut self, at: usize) {
        if let Some(nic) = self.glance.nics.get(at) {
            let form = nic_form(nic, at, self.glance.nics.len(), self.glance.plan.as_ref());
            self.stack.push(Screen::Nic(form, nic.clone()));
        }
    }

    /// Returns the plan that is kept with one interface as it was filled in; what the plan lacks asks DHCP.
    fn changed(&self, form: &mut Form, nic: &Nic) -> Option<Plan> {
        let filled = read_nic(form, nic)?;
        let mut plan = self.glance.plan.clone().unwrap_or_else(|| Plan {
            interfaces: self
                .glance
                .nics
                .iter()
                .map(|nic| netplan::Interface::automatic(nic.name.clone()))
                .collect(),
            ..Plan::default()
        });
        match plan.interfaces.iter_mut().find(|interface| interface.name == nic.name) {
            Some(interface) => {
                interface.ipv4 = filled.ipv4;
                interface.ipv6 = filled.ipv6;
            }
            None => plan.interfaces.push(filled),
        }
        match plan.check() {
            Ok(plan) => Some(plan.into_plan()),
            Err(error) => {
                form.refuse(0, error.to_string());
                None
            }
        }
    }

    pub(super) fn carry_out(&mut self, item: Item, effects: &mut Vec<Effect>) {
        match item {
            Item::ResetNetwork => self.begin("the network is reset", Effect::ResetNetwork, effects),
            Item::PowerOff => self.begin("the appliance shuts down", Effect::PowerOff, effects),
            Item::Restart => self.begin("the appliance restarts", Effect::Restart, effects),
            other => unreachable!("{other:?} is not confirmed"),
        }
    }
}
