//! What is shown for which key: a function of state and event to effects.

use netplan::Plan;
use zeroize::Zeroizing;

use crate::form::{Form, Pressed, secret, text};
use crate::glance::{Glance, Nic};
use crate::key::Key;
use crate::menu::{Item, Menu};
use crate::network::{nic_form, read_nic, read_servers, servers_form};
use crate::wizard::{Step, Wizard, password_form, read_password};

/// What is said while a plan is tried.
pub const TRIAL_HINT: &str = "The new network is in force. Look whether the appliance is reached at its new address; then keep it here.";

/// What happens.
#[derive(Clone, Debug)]
pub enum Event {
    /// Somebody pressed a key.
    Key(Key),
    /// The appliance was looked at.
    Glance(Box<Glance>),
    /// A piece of work ended.
    Done(Done),
}

/// How a piece of work ended.
#[derive(Clone, Debug)]
pub enum Done {
    /// A question of first boot was answered and is kept, or why it is not.
    Answered(Result<(), String>),
    /// A plan is being tried, or why it is not.
    Tried(Result<(), String>),
    /// The plan that was tried is kept, or why it is not.
    Kept(Result<(), String>),
    /// The plan that was tried was rolled back, or why it was not.
    RolledBack(Result<(), String>),
    /// Whether the password was right.
    Password(bool),
    /// A new password is kept, or why it is not.
    PasswordSet(Result<(), String>),
    /// The token, or why there is none.
    Token(Result<String, String>),
    /// Something of a menu was done, with what is to be said, or why it was not.
    Menu(Result<String, String>),
    /// The end of the log.
    Log(Vec<String>),
}

/// What is to be done. Each but the first two ends with an [`Event::Done`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Draw everything again.
    Redraw,
    /// First boot is over.
    Finish,
    /// Take a host name.
    SetHostName(String),
    /// Try a plan.
    TryPlan(Plan),
    /// Keep the plan that is tried.
    KeepPlan,
    /// Roll it back.
    RollBack,
    /// Keep a plan that changes no address.
    SetServers(Plan),
    /// Compare a password.
    CheckPassword(Zeroizing<String>),
    /// Take a password.
    SetPassword(Zeroizing<String>),
    /// Take a disk for the history.
    TakeDisk(String),
    /// Make a token for an operator.
    MakeToken,
    /// Bring the network to what it was at first.
    ResetNetwork,
    /// Read the log.
    ReadLog,
    /// Off.
    PowerOff,
    /// Off and on.
    Restart,
}

/// A screen above the first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Screen {
    /// The live view.
    Live,
    /// Who wants in, and where to.
    Login(Form, Menu),
    /// Proof that somebody sits here, for a new password.
    Proof(Form),
    /// A menu, and the line it stands on.
    Menu(Menu, usize),
    /// A choice of interfaces.
    Nics(usize),
    /// The network of one interface.
    Nic(Form, Nic),
    /// Servers of names and time.
    Servers(Form),
    /// A new password.
    NewPassword(Form),
    /// A plan is tried.
    Trial,
    /// A question before something that is felt: yes or no.
    Confirm(Item),
    /// Something to read.
    Notice(String, String),
    /// The log, and its first line shown.
    Log(Vec<String>, usize),
}

/// The console.
#[derive(Clone, Debug)]
pub struct Console {
    /// How the appliance looks.
    pub glance: Glance,
    /// First boot, while it is not over.
    pub wizard: Option<Wizard>,
    /// The form of the question of first boot.
    pub question: Option<Form>,
    /// Where the choice of a disk stands.
    pub disk: usize,
    /// What is wrong with the answer that is no form.
    pub fault: Option<String>,
    /// The first token.
    pub token: Option<String>,
    /// What is above the first screen.
    pub stack: Vec<Screen>,
    /// What is being done.
    pub busy: Option<&'static str>,
    /// The password was right; gone with the last menu.
    known: bool,
}

impl Console {
    /// Begins with a first look at the appliance.
    pub fn new(glance: Glance) -> (Self, Vec<Effect>) {
        let wizard = (!glance.answered.all).then(|| Wizard::begin(&glance));
        let (stack, busy) = (Vec::new(), None);
        let mut console = Self {
            glance,
            wizard,
            question: None,
            disk: 0,
            fault: None,
            token: None,
            stack,
            busy,
            known: false,
        };
        let mut effects = Vec::new();
        console.ask(&mut effects);
        (console, effects)
    }

    /// Returns the screen on top, if one is above the first.
    pub fn top(&self) -> Option<&Screen> {
        self.stack.last()
    }

    /// Takes an event, and adds what is to be done.
    pub fn step(&mut self, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Glance(glance) => self.look(*glance),
            Event::Key(Key::Redraw) => effects.push(Effect::Redraw),
            // Whoever is served elsewhere is not disturbed from here; whatever is being done ends first.
            Event::Key(_) if self.busy.is_some() => {}
            Event::Key(_) if self.glance.elsewhere && (self.wizard.is_some() || !self.stack.is_empty()) => {}
            Event::Key(key) => self.key(key, effects),
            Event::Done(done) => {
                self.busy = None;
                self.done(done, effects);
            }
        }
        assert!(self.wizard.is_none() || !self.known, "nobody is known before there is a password");
    }

    fn look(&mut self, glance: Glance) {
        let rolled_back = self.glance.trial_left.is_some() && glance.trial_left.is_none();
        self.glance = glance;
        self.disk = self.disk.min(self.glance.disks.len().saturating_sub(1));
        if rolled_back && self.top() == Some(&Screen::Trial) && self.busy.is_none() {
            self.stack.pop();
            self.back_to_network(
                "The new network was not kept within 30 seconds, and the one before is back.",
            );
        }
        if self.wizard.is_some() && self.glance.answered.all {
            // Another line ended it.
            self.wizard = None;
            self.question = None;
        }
    }

    /// Prepares the question of first boot.
    fn ask(&mut self, effects: &mut Vec<Effect>) {
        let Some(wizard) = &self.wizard else { return };
        self.fault = None;
        self.question = wizard.form(&self.glance);
        if wizard.step == Step::Ready && self.token.is_none() {
            self.begin("the appliance starts its services", Effect::MakeToken, effects);
        }
    }

    fn begin(&mut self, what: &'static str, effect: Effect, effects: &mut Vec<Effect>) {
        self.busy = Some(what);
        effects.push(effect);
    }

    fn key(&mut self, key: Key, effects: &mut Vec<Effect>) {
        match self.stack.pop() {
            None if self.wizard.is_some() => self.answer(key, effects),
            None => match key {
                Key::F(2) => self.enter(Menu::Customize),
                Key::F(12) => self.enter(Menu::Power),
                Key::F(3) => self.stack.push(Screen::Live),
                _ => {}
            },
            Some(screen) => self.key_on(screen, key, effects),
        }
    }

    fn enter(&mut self, menu: Menu) {
        let about = "Enter the password that was set at first boot. F4: it is lost.";
        self.stack
            .push(Screen::Login(Form::new("Authentication Required", about, vec![secret("Password")]), menu));
    }

    /// Answers a question of first boot.
    fn answer(&mut self, key: Key, effects: &mut Vec<Effect>) {
        let Some(step) = self.wizard.as_ref().map(|wizard| wizard.step) else { return };
        match step {
            Step::Retention => return self.choose_disk(key, effects),
            Step::Ready => {
                if key == Key::Enter && self.token.is_some() {
                    self.wizard = None;
                    self.token = None;
                    effects.push(Effect::Finish);
                } else if key == Key::Enter {
                    self.begin("the appliance starts its services", Effect::MakeToken, effects);
                }
                return;
            }
            Step::HostName | Step::Nic(_) | Step::Servers | Step::Password => {}
        }
        let Some(mut form) = self.question.take() else { return };
        match form.key(key) {
            Pressed::Within => {}
            Pressed::Back => {
                if let (Step::Nic(at), Some(wizard)) = (step, &mut self.wizard) {
                    wizard.step = Step::Nic(at.saturating_sub(1));
                    wizard.interfaces.truncate(at.saturating_sub(1));
                    return self.ask(effects);
                }
            }
            Pressed::Submit => self.submit(step, &mut form, effects),
        }
        if self.question.is_none() {
            self.question = Some(form);
        }
    }

    fn submit(&mut self, step: Step, form: &mut Form, effects: &mut Vec<Effect>) {
        match step {
            Step::HostName => {
                let name = form.value(0).to_ascii_lowercase();
                match name.parse::<units::MachineName>() {
                    Ok(_) => self.begin("the name is taken", Effect::SetHostName(name), effects),
                    Err(error) => form.refuse(0, error.to_string()),
                }
            }
            Step::Nic(at) => self.submit_nic(at, form, effects),
            Step::Servers => {
                // What was kept a moment ago may not have been looked at yet.
                let mut glance = self.glance.clone();
                if let Some(wizard) = self.wizard.as_ref().filter(|wizard| !wizard.interfaces.is_empty()) {
                    glance.plan = Some(wizard.plan(&self.glance));
                }
                if let Some(plan) = read_servers(form, &glance) {
                    self.begin("the servers are told to the system", Effect::SetServers(plan), effects);
                }
            }
            Step::Password => {
                if let Some(password) = read_password(form) {
                    self.begin("the password is hashed", Effect::SetPassword(password.into()), effects);
                }
            }
            Step::Retention | Step::Ready => unreachable!("these are no forms"),
        }
    }

    fn submit_nic(&mut self, at: usize, form: &mut Form, effects: &mut Vec<Effect>) {
        let (Some(nic), Some(wizard)) = (self.glance.nics.get(at).cloned(), &mut self.wizard) else { return };
        let Some(interface) = read_nic(form, &nic) else { return };
        wizard.interfaces.truncate(at);
        wizard.interfaces.push(interface);
        if at + 1 < self.glance.nics.len() {
            wizard.step = Step::Nic(at + 1);
            return self.ask(effects);
        }
        match wizard.plan(&self.glance).check() {
            Ok(plan) => self.begin("the network is set up", Effect::TryPlan(plan.into_plan()), effects),
            Err(error) => form.refuse(0, error.to_string()),
        }
    }

    fn choose_disk(&mut self, key: Key, effects: &mut Vec<Effect>) {
        let count = self.glance.disks.len();
        match key {
            Key::Up => self.disk = self.disk.saturating_sub(1),
            Key::Down => self.disk = (self.disk + 1).min(count.saturating_sub(1)),
            Key::Enter => match self.glance.disks.get(self.disk) {
                None => self.fault = Some("there is no disk; attach one, it is seen at once".to_owned()),
                Some(disk) if disk.refused.is_some() => {
                    self.fault = Some("this disk can't hold the history; choose another".to_owned())
                }
                Some(disk) => {
                    let disk = disk.path.clone();
                    self.begin("the disk becomes the retention volume", Effect::TakeDisk(disk), effects);
                }
            },
            _ => return,
        }
        if key != Key::Enter {
            self.fault = None;
        }
    }

    fn key_on(&mut self, screen: Screen, key: Key, effects: &mut Vec<Effect>) {
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

    fn carry_out(&mut self, item: Item, effects: &mut Vec<Effect>) {
        match item {
            Item::ResetNetwork => self.begin("the network is reset", Effect::ResetNetwork, effects),
            Item::PowerOff => self.begin("the appliance shuts down", Effect::PowerOff, effects),
            Item::Restart => self.begin("the appliance restarts", Effect::Restart, effects),
            other => unreachable!("{other:?} is not confirmed"),
        }
    }

    /// With the last screen above the first one, who was known is not any more.
    fn left(&mut self) {
        if self.stack.is_empty() {
            self.known = false;
        }
    }

    fn done(&mut self, done: Done, effects: &mut Vec<Effect>) {
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

    fn notice(&mut self, title: &str, said: &str) {
        self.stack.push(Screen::Notice(title.to_owned(), said.to_owned()));
    }

    /// Goes on to the next question.
    fn advance(&mut self, effects: &mut Vec<Effect>) {
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
    fn back_to_network(&mut self, why: &str) {
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
