//! Somebody types, and every screen at 80×24 is as it was: `LANDFALL_BLESS=1` writes them anew.

use std::path::Path;

use console::{
    Answered, Console, Disk, Done, Effect, Event, Glance, Key, MachineLine, Nic, Screen, Step, Tone, draw,
};
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;

/// A person at the console.
struct Person {
    console: Console,
    effects: Vec<Effect>,
}

fn nic(number: u8) -> Nic {
    Nic {
        name: format!("eth{number}").parse().expect("a name"),
        mac: format!("00:50:56:00:00:0{number}").parse().expect("an address"),
        carrier: number == 0,
        addresses: if number == 0 { vec!["192.0.2.77/24".to_owned()] } else { Vec::new() },
    }
}

fn blank() -> Glance {
    let disk = |path: &str, size: &str, refused: Option<&str>| Disk {
        path: path.to_owned(),
        size: size.to_owned(),
        refused: refused.map(str::to_owned),
    };
    Glance {
        version: "1.2.3".to_owned(),
        host: "landfall".to_owned(),
        nics: vec![nic(0), nic(1)],
        disks: vec![
            disk("/dev/sda", "8 GiB", Some("the appliance itself runs from it (LF-1230)")),
            disk("/dev/sdb", "500 GiB", None),
            disk("/dev/sdc", "2 TiB", Some("there is an NTFS file system on it (LF-1241)")),
        ],
        health: "It waits for its retention volume.".to_owned(),
        proof: "123456".to_owned(),
        ..Glance::default()
    }
}

fn running() -> Glance {
    let machine = |name: &str, phase: &str, rpo: &str, tone| MachineLine {
        name: name.to_owned(),
        phase: phase.to_owned(),
        rpo: rpo.to_owned(),
        history: "23 h 50 min".to_owned(),
        tone,
    };
    let answered = Answered {
        host_name: true,
        network: true,
        servers: true,
        password: true,
        retention: true,
        all: true,
    };
    let machines = (0..9).map(|number| machine(&format!("web-{number:02}"), "protected", "12 s", Tone::Good));
    Glance {
        answered,
        fingerprint: Some("ab".repeat(32)),
        health: "web-00: its newest point is 2 h old".to_owned(),
        tone: Tone::Warn,
        volume: "Retention volume: 301.20 GiB free of 500 GiB".to_owned(),
        machines: machines.collect(),
        jobs: vec!["job 4 of web-00: Failback".to_owned()],
        disks: Vec::new(),
        ..blank()
    }
}

impl Person {
    fn at(glance: Glance) -> Self {
        let (console, effects) = Console::new(glance);
        Self { console, effects }
    }

    fn press(&mut self, key: Key) -> &mut Self {
        self.effects.clear();
        self.console.step(Event::Key(key), &mut self.effects);
        self
    }

    fn types(&mut self, text: &str) -> &mut Self {
        for char in text.chars() {
            self.press(Key::Char(char));
        }
        self
    }

    fn hears(&mut self, done: Done) -> &mut Self {
        self.effects.clear();
        self.console.step(Event::Done(done), &mut self.effects);
        self
    }

    fn sees(&mut self, glance: Glance) -> &mut Self {
        self.console.step(Event::Glance(Box::new(glance)), &mut self.effects);
        self
    }

    fn clears(&mut self) -> &mut Self {
        for _ in 0..60 {
            self.press(Key::Backspace);
        }
        self
    }

    fn screen(&self) -> String {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 80, 24));
        draw(&self.console, &mut buffer);
        let rows = buffer.content.chunks(80);
        let line =
            |row: &[ratatui_core::buffer::Cell]| row.iter().map(|cell| cell.symbol()).collect::<String>();
        rows.map(|row| line(row).trim_end().to_owned() + "\n").collect()
    }

    /// Compares the screen with the one of that name.
    fn shows(&mut self, name: &str) -> &mut Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"));
        let found = self.screen();
        if std::env::var_os("LANDFALL_BLESS").is_some() {
            std::fs::write(path, found).expect("it can be written");
            return self;
        }
        let expected = std::fs::read_to_string(path).expect("LANDFALL_BLESS=1 writes it");
        assert!(expected == found, "{name} is otherwise:\n{found}");
        self
    }

    fn answers(&mut self) -> &mut Self {
        self.hears(Done::Answered(Ok(())))
    }
}

#[test]
fn first_boot_asks_in_order_and_keeps_each_answer() {
    let mut person = Person::at(blank());
    person.shows("first-boot-1-host-name");
    person.clears().types("Home 01").press(Key::Enter).shows("first-boot-1-refused");
    assert_eq!(person.effects, []);
    person.clears().types("Home-01").press(Key::Enter);
    assert_eq!(person.effects, [Effect::SetHostName("home-01".to_owned())]);
    person.shows("busy");
    person.press(Key::Enter);
    assert_eq!(person.effects, [], "while something is being done, keys are nothing");

    person.answers().shows("first-boot-2-nic");
    person
        .press(Key::Right)
        .press(Key::Tab)
        .types("192.0.2.10")
        .press(Key::Enter)
        .shows("first-boot-2-refused");
    person.types("/24").press(Key::Tab).types("192.0.3.1").press(Key::Enter);
    assert_eq!(person.effects, [], "the gateway can't be reached");
    person.clears().types("192.0.2.1").press(Key::Enter).press(Key::Enter);
    let [Effect::TryPlan(plan)] = person.effects.as_slice() else {
        panic!("it is tried: {:?}", person.effects)
    };
    let json = format!("{:?}", plan.interfaces);
    assert!(json.contains("192.0.2.10/24") && plan.interfaces.len() == 2, "{json}");

    let trying = Glance { trial_left: Some(27), plan: None, ..blank() };
    person.hears(Done::Tried(Ok(()))).sees(trying.clone()).shows("trial");
    person.press(Key::Enter);
    assert_eq!(person.effects, [Effect::KeepPlan]);
    person.hears(Done::Kept(Ok(()))).shows("first-boot-3-servers");
    person.types("192.0.2.53x").press(Key::Enter);
    assert_eq!(person.effects, []);
    person.press(Key::Backspace).press(Key::Tab).press(Key::Tab).types("ntp.example.com").press(Key::Enter);
    let [Effect::SetServers(plan)] = person.effects.as_slice() else {
        panic!("they are set: {:?}", person.effects)
    };
    assert_eq!((plan.dns.len(), plan.ntp.len()), (1, 1));

    person.answers().shows("first-boot-4-password");
    person.types("short").press(Key::Enter);
    assert_eq!(person.effects, []);
    person
        .clears()
        .types("swordfish")
        .press(Key::Tab)
        .types("swordfisk")
        .press(Key::Enter)
        .shows("first-boot-4-refused");
    person.press(Key::Backspace).types("h").press(Key::Enter);
    assert_eq!(person.effects, [Effect::SetPassword("swordfish".to_owned().into())]);

    person.hears(Done::PasswordSet(Ok(()))).shows("first-boot-5-disk");
    person.press(Key::Enter);
    assert_eq!(person.effects, [], "the system disk is not taken");
    person.press(Key::Down).press(Key::Enter);
    assert_eq!(person.effects, [Effect::TakeDisk("/dev/sdb".to_owned())]);

    person.answers();
    assert_eq!(person.effects, [Effect::MakeToken]);
    person.sees(Glance { fingerprint: Some("ab".repeat(32)), ..blank() });
    person.hears(Done::Token(Ok("landfall1-".to_owned() + &"Ab3_".repeat(30)))).shows("first-boot-6-ready");
    person.press(Key::Enter);
    assert_eq!(person.effects, [Effect::Finish]);
    assert!(!person.screen().contains("Ab3_"), "the token is shown once");
}

#[test]
fn first_boot_goes_on_after_a_power_cut_where_it_was() {
    let step = |answered: Answered| {
        Person::at(Glance { answered, ..blank() }).console.wizard.map(|wizard| wizard.step)
    };
    let mut answered = Answered::default();
    assert_eq!(step(answered), Some(Step::HostName));
    answered.host_name = true;
    assert_eq!(step(answered), Some(Step::Nic(0)));
    answered.network = true;
    assert_eq!(step(answered), Some(Step::Servers));
    answered.servers = true;
    assert_eq!(step(answered), Some(Step::Password));
    answered.password = true;
    assert_eq!(step(answered), Some(Step::Retention));
    answered.retention = true;
    assert_eq!(step(answered), Some(Step::Ready));
    answered.all = true;
    assert_eq!(step(answered), None);
}

#[test]
fn what_the_appliance_was_told_wrong_is_said_before_it_is_asked() {
    let why = "property landfall.ip0: found `192.0.2.300/24`; \"192.0.2.300/24\" is not an address with the length of its prefix";
    let mut person = Person::at(Glance { refused: Some(why.to_owned()), ..blank() });
    person.shows("told-wrong").press(Key::Enter).shows("first-boot-1-host-name");
    let told = Glance { refused: Some(why.to_owned()), ..running() };
    assert_eq!(Person::at(told).console.top(), None, "once first boot is over, it is no matter any more");
}

#[test]
fn a_network_that_nobody_keeps_is_asked_again() {
    let mut person =
        Person::at(Glance { answered: Answered { host_name: true, ..Answered::default() }, ..blank() });
    person.press(Key::Enter).press(Key::Enter);
    assert!(matches!(person.effects.as_slice(), [Effect::TryPlan(_)]));
    person
        .hears(Done::Tried(Ok(())))
        .sees(Glance { trial_left: Some(1), ..blank() })
        .sees(blank())
        .shows("rolled-back");
    person.press(Key::Enter);
    assert_eq!(person.console.wizard.as_ref().map(|wizard| wizard.step), Some(Step::Nic(0)));
    assert_eq!(person.console.stack, []);
}

#[test]
fn nothing_but_status_and_live_view_is_shown_without_the_password() {
    let mut person = Person::at(running());
    person.shows("status");
    person.press(Key::F(3)).shows("live").press(Key::Escape);
    for key in [Key::Enter, Key::Char('x'), Key::Down, Key::F(1), Key::F(5), Key::Escape] {
        person.press(key);
        assert_eq!((person.console.stack.len(), person.effects.len()), (0, 0), "{key:?}");
    }
    person.press(Key::F(2)).shows("login");
    person.types("wrong").press(Key::Enter);
    assert_eq!(person.effects, [Effect::CheckPassword("wrong".to_owned().into())]);
    person.hears(Done::Password(false)).shows("login-wrong");
    person.types("right").press(Key::Enter).hears(Done::Password(true)).shows("menu");
    person.press(Key::Down).press(Key::Down).shows("menu-3");
    person.press(Key::Escape).shows("status");
    person.press(Key::F(12));
    assert!(matches!(person.console.top(), Some(Screen::Login(..))), "logging out asks again");
}

#[test]
fn menus_do_what_they_say_and_ask_before_what_is_felt() {
    let mut person = Person::at(running());
    person.press(Key::F(12)).types("x").press(Key::Enter).hears(Done::Password(true)).shows("menu-power");
    person.press(Key::Down).press(Key::Enter).shows("confirm");
    person.press(Key::Escape);
    assert_eq!(person.effects, []);
    person.press(Key::Enter).press(Key::F(11));
    assert_eq!(person.effects, [Effect::Restart]);
    person.hears(Done::Menu(Ok("It is under way.".to_owned()))).press(Key::Enter).press(Key::Escape);

    person.press(Key::F(2)).types("x").press(Key::Enter).hears(Done::Password(true));
    person.press(Key::Enter).shows("nics");
    person.press(Key::Enter).press(Key::Right).press(Key::Tab).types("192.0.2.10/24").press(Key::Enter);
    assert!(matches!(person.effects.as_slice(), [Effect::TryPlan(_)]));
    person.hears(Done::Tried(Err("networkctl failed: no bus".to_owned()))).shows("nic-refused");
    person.press(Key::Escape).press(Key::Escape);
    for _ in 0..4 {
        person.press(Key::Down);
    }
    person.press(Key::Enter);
    assert_eq!(person.effects, [Effect::ReadLog]);
    let lines =
        (0..40).map(|line| format!("Nov 30 09:00:{line:02} home systemd[1]: line {line} \x1b[31m")).collect();
    person.hears(Done::Log(lines)).shows("log");
    person.press(Key::PageUp);
    assert!(person.screen().contains("line 10"));
}

#[test]
fn a_lost_password_is_replaced_only_by_who_reads_the_screen() {
    let mut person = Person::at(running());
    person.press(Key::F(2)).press(Key::F(4)).shows("proof");
    person.types("654321").press(Key::Enter);
    assert!(matches!(person.console.top(), Some(Screen::Proof(_))));
    person
        .clears()
        .types("123456")
        .press(Key::Enter)
        .types("new secret")
        .press(Key::Tab)
        .types("new secret")
        .press(Key::Enter);
    assert_eq!(person.effects, [Effect::SetPassword("new secret".to_owned().into())]);
    person.hears(Done::PasswordSet(Ok(()))).press(Key::Enter);
    assert!(matches!(person.console.top(), Some(Screen::Login(..))), "and then asked");
}

#[test]
fn a_second_line_waits_while_first_boot_is_answered_at_another() {
    let mut person = Person::at(Glance { elsewhere: true, ..blank() });
    person.shows("elsewhere").types("x").press(Key::Enter);
    assert_eq!(person.effects, []);
    person.sees(running()).shows("status");
}

#[test]
fn every_screen_survives_every_key_and_every_size() {
    let keys = [
        Key::Enter,
        Key::Escape,
        Key::Tab,
        Key::Up,
        Key::Down,
        Key::Right,
        Key::Backspace,
        Key::F(2),
        Key::F(3),
        Key::F(4),
        Key::F(12),
        Key::Char('1'),
    ];
    let mut random = 0x9e37_79b9_u32;
    for glance in
        [blank(), running(), Glance { nics: Vec::new(), disks: Vec::new(), machines: Vec::new(), ..blank() }]
    {
        let mut person = Person::at(glance);
        for number in 0..600 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            person.press(keys[(random >> 24) as usize % keys.len()]);
            let done = match person.effects.first() {
                Some(Effect::CheckPassword(_)) => Some(Done::Password(random & 0x1000 != 0)),
                Some(Effect::TryPlan(_)) => Some(Done::Tried(Ok(()))),
                Some(Effect::KeepPlan) => Some(Done::Kept(Ok(()))),
                Some(Effect::RollBack) => Some(Done::RolledBack(Ok(()))),
                Some(Effect::SetPassword(_)) => Some(Done::PasswordSet(Ok(()))),
                Some(Effect::MakeToken) => Some(Done::Token(Err("no".to_owned()))),
                Some(Effect::ReadLog) => Some(Done::Log(Vec::new())),
                Some(Effect::ResetNetwork | Effect::PowerOff | Effect::Restart) => {
                    Some(Done::Menu(Ok(String::new())))
                }
                Some(_) => Some(Done::Answered(Ok(()))),
                None => None,
            };
            if let Some(done) = done {
                person.hears(done);
            }
            let size = [(80, 24), (40, 12), (132, 50)][number % 3];
            draw(&person.console, &mut Buffer::empty(Rect::new(0, 0, size.0, size.1)));
        }
    }
}
