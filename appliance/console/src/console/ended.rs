//! What follows when a piece of work has ended.

use super::{Console, Done, Effect, Screen};
use crate::form::{Form, secret};
use crate::wizard::Step;

impl Console {
    pub(super) fn done(&mut self, done: Done, effects: &mut Vec<Effect>) {
        match done {
            Done::Answered(Ok(())) => self.advance(effects),
            Done::Tried(Ok(())) => self.stack.push(Screen::Trial),
            Done::Kept(Ok(())) => {
                self.stack.retain(|screen| *screen != Screen::Trial);
                self.advance_network(effects);
            }
            Done::RolledBack(Ok(())) => {
                self.stack.retain(|screen| *screen != Screen::Trial);
                self.back_to_network("The network is as it was before.");
            }
            Done::Kept(Err(why)) | Done::RolledBack(Err(why)) => {
                self.stack.retain(|screen| *screen != Screen::Trial);
                self.back_to_network(&why);
            }
            Done::Answered(Err(why)) | Done::Tried(Err(why)) | Done::PasswordSet(Err(why)) => {
                self.refused(&why)
            }
            Done::Password(true) => {
                if let Some(Screen::Login(_, menu)) = self.stack.pop() {
                    self.known = true;
                    self.stack.push(Screen::Menu(menu, 0));
                }
            }
            Done::Password(false) => {
                if let Some(Screen::Login(form, _)) = self.stack.last_mut() {
                    let mut again =
                        Form::new(form.title.clone(), form.about.clone(), vec![secret("Password")]);
                    again.refuse(0, "the password is wrong");
                    *form = again;
                }
            }
            Done::PasswordSet(Ok(())) if self.wizard.is_some() => self.advance(effects),
            Done::PasswordSet(Ok(())) => {
                self.stack.pop();
                self.notice("Password", "The new password counts from now on.");
            }
            Done::Token(Ok(token)) if self.wizard.is_some() => self.token = Some(token),
            Done::Token(Err(why)) if self.wizard.is_some() => self.fault = Some(why),
            Done::Token(Ok(token)) => self.notice("Token for one operator, once, within an hour", &token),
            Done::Menu(Ok(said)) => self.notice("Done", &said),
            Done::Token(Err(why)) | Done::Menu(Err(why)) => self.notice("It was not done", &why),
            Done::Log(lines) => {
                let at = lines.len().saturating_sub(15);
                self.stack.push(Screen::Log(lines, at));
            }
        }
        self.left();
    }

    pub(super) fn notice(&mut self, title: &str, said: &str) {
        self.stack.push(Screen::Notice(title.to_owned(), said.to_owned()));
    }

    /// Goes on to the next question.
    pub(super) fn advance(&mut self, effects: &mut Vec<Effect>) {
        let nics = self.glance.nics.len();
        let Some(wizard) = &mut self.wizard else {
            // Servers, from the menu.
            self.stack.pop();
            return self.notice("Names and time", "They are kept.");
        };
        wizard.step = match wizard.step {
            Step::HostName if nics == 0 || self.glance.answered.network => Step::Password,
            Step::HostName => Step::Nic(0),
            Step::Nic(_) => Step::Servers,
            Step::Servers => Step::Password,
            Step::Password if self.glance.answered.retention => Step::Ready,
            Step::Password => Step::Retention,
            Step::Retention | Step::Ready => Step::Ready,
        };
        self.ask(effects);
    }

    fn advance_network(&mut self, effects: &mut Vec<Effect>) {
        if self.wizard.is_some() {
            return self.advance(effects);
        }
        self.stack.pop();
        self.notice("Network", "The new network is kept.");
    }

    /// Shows the network again after it was rolled back.
    pub(super) fn back_to_network(&mut self, why: &str) {
        if let Some(wizard) = &mut self.wizard {
            wizard.step = Step::Nic(0);
            wizard.interfaces.clear();
            self.question = wizard.form(&self.glance);
        }
        self.notice("Network", why);
    }

    /// Shows why something was not done where it was filled in.
    fn refused(&mut self, why: &str) {
        let form = match self.stack.last_mut() {
            Some(Screen::Nic(form, _) | Screen::Servers(form) | Screen::NewPassword(form)) => Some(form),
            Some(_) => None,
            None => self.question.as_mut(),
        };
        match form {
            Some(form) => form.fault = Some(why.to_owned()),
            None => self.fault = Some(why.to_owned()),
        }
    }
}
