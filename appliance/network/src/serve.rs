//! The keeper: the one process that may change the network, for others that may not.

use std::io::{self, BufReader};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use crate::error::NetworkError;
use crate::network::Network;
use crate::wish::{Answer, GREETING, Wish, read_line, write_line};

/// How long whoever connects may take to say its wish, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves wishes one after the other, as long as connections come. Who may connect is said by the socket's file. Errors: none can come
/// any more.
pub fn serve(listener: &UnixListener, network: &Network) -> Result<(), NetworkError> {
    let failed =
        |source| NetworkError::File { operation: "served", path: "the keeper's socket".into(), source };
    for stream in listener.incoming() {
        // One that says nothing, or nonsense, is let go; the next is served.
        if let Err(error) = answer(&stream.map_err(failed)?, network) {
            tracing::warn!(%error, "wish not understood");
        }
    }
    Ok(())
}

fn answer(stream: &UnixStream, network: &Network) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let greeted = Instant::now();
    write_line(stream, &GREETING)?;
    let wish = read_line(BufReader::new(stream))?;
    write_line(stream, &perform(wish, greeted, network))
}

fn perform(wish: Wish, greeted: Instant, network: &Network) -> Answer {
    let done = match wish {
        Wish::Show => Ok(()),
        Wish::Try(plan) => network.begin(plan),
        Wish::Keep { age } => match greeted.checked_sub(age) {
            Some(opened) => network.keep(opened),
            None => Err(netplan::Refusal::OldConnection.into()),
        },
        Wish::Set(plan) => network.set(plan),
        Wish::Cancel => network.cancel(),
    };
    match done {
        Ok(()) => Answer::Stands(network.show()),
        Err(NetworkError::Refused(refusal)) => Answer::Refused(refusal),
        Err(error) => Answer::Failed(error.in_full()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use netplan::{Checked, Plan, Refusal};

    use super::*;
    use crate::{Directory, Keeper, Shown, System};

    /// Remembers what was applied; an address that ends with 99 can't be.
    #[derive(Clone, Default)]
    struct Wire(Arc<Mutex<Vec<String>>>);

    impl System for Wire {
        fn apply(&self, plan: Option<&Checked>, _: bool) -> Result<(), NetworkError> {
            let text = plan.map_or_else(String::new, Checked::render_yaml);
            if text.contains(".99/") {
                return Err(NetworkError::Keeper { said: "no such wire".to_owned() });
            }
            self.0.lock().expect("nobody panics").push(text);
            Ok(())
        }
    }

    fn plan(host: u8) -> Plan {
        let json = format!(
            r#"{{"interfaces":[{{"name":"eth0","ipv4":{{"static":{{"addresses":["192.0.2.{host}/24"]}}}}}}]}}"#
        );
        serde_json::from_str(&json).expect("it is one")
    }

    #[test]
    fn plans_are_tried_kept_and_rolled_back_from_afar_and_nothing_else_is_taken() {
        let place = tempfile::tempdir().expect("a directory");
        let socket = place.path().join("socket");
        let listener = UnixListener::bind(&socket).expect("it is free");
        let plans = Directory::open(&place.path().join("plans")).expect("it is free");
        let wire = Wire::default();
        let network = Network::open(Box::new(plans), Box::new(wire.clone())).expect("nothing is kept");
        std::thread::spawn(move || serve(&listener, &network));

        let keeper = Keeper::at(&socket);
        assert_eq!(keeper.show().expect("it answers").kept, None);
        let before = Instant::now();
        assert_eq!(keeper.set(plan(10)).expect("it is set").kept, Some(plan(10)));
        let tried = keeper.begin(plan(20)).expect("it is tried");
        assert_eq!(tried.trying.map(|trying| trying.plan), Some(plan(20)));
        let busy = keeper.begin(plan(30)).expect_err("one at a time");
        assert!(matches!(busy, NetworkError::Refused(Refusal::Trying { .. })), "{busy}");
        let old = keeper.keep(before).expect_err("the connection is older");
        assert!(matches!(old, NetworkError::Refused(Refusal::OldConnection)), "{old}");
        assert_eq!(keeper.keep(Instant::now()).expect("it is new").kept, Some(plan(20)));
        let nothing = keeper.cancel().expect_err("none is tried");
        assert!(matches!(nothing, NetworkError::Refused(Refusal::Nothing)), "{nothing}");

        let refused = keeper.begin(plan(99)).expect_err("it can't be applied").to_string();
        assert!(refused.contains("no such wire") && refused.contains("brought back"), "{refused}");
        let unlawful = keeper.set(Plan::default()).expect_err("it has no interface");
        assert!(matches!(unlawful, NetworkError::Plan(_)), "{unlawful}");
        let greeted = || {
            let stream = UnixStream::connect(&socket).expect("it listens");
            let mut greeting = vec![0; GREETING.len() + 3];
            io::Read::read_exact(&mut &stream, &mut greeting).expect("it greets");
            stream
        };
        let unchecked = greeted();
        write_line(&unchecked, &Wish::Set(Plan::default())).expect("it is short");
        let answer: Answer = read_line(BufReader::new(&unchecked)).expect("it answers");
        assert!(matches!(&answer, Answer::Failed(why) if why.contains("interfaces")), "{answer:?}");
        let nonsense = greeted();
        write_line(&nonsense, &"systemctl reboot").expect("it is short");
        read_line::<Answer>(BufReader::new(&nonsense)).expect_err("it is let go");
        let Shown { kept, trying } = keeper.show().expect("it still answers");
        assert_eq!((kept, trying), (Some(plan(20)), None));
        let last = wire.0.lock().expect("nobody panics").last().cloned().unwrap_or_default();
        assert_eq!(last, plan(20).check().expect("it is right").render_yaml());
    }
}
