//! What is shown for which key: a function of state and event to effects.

/// Keys on what is above the first screen.
mod above;
/// Keys while first boot is asked.
mod answers;
/// What follows when a piece of work has ended.
mod ended;

use netplan::Plan;
use zeroize::Zeroizing;

use crate::form::{Form, secret};
use crate::glance::{Glance, Nic};
use crate::key::Key;
use crate::menu::{Item, Menu};
use crate::wizard::{Step, Wizard};

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
        if let Some(why) = console.glance.refused.clone().filter(|_| console.wizard.is_some()) {
            let said = format!("{why}. Nothing of what was told is used; you are asked for all of it now.");
            console.notice("What the appliance was told can't be", &said);
        }
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

    /// With the last screen above the first one, who was known is not any more.
    fn left(&mut self) {
        if self.stack.is_empty() {
            self.known = false;
        }
    }
}
