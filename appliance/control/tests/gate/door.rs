//! Who is let in, and how long.

use std::io::{Read, Write};

use link::Role;

use crate::town::{Town, brisk, read_to_end};

#[test]
fn a_peer_is_served_under_the_name_of_its_certificate() {
    let town = Town::new(brisk());
    let (mut client, greeting) = town.enter(&town.issue(Role::Source, "web-01")).expect("let in");
    assert!(greeting.starts_with("landfall:source:web-01 4"), "{greeting}");
    client.write_all(b"still here").expect("written");
    let mut echo = [0; 10];
    client.read_exact(&mut echo).expect("read");
    assert_eq!(&echo, b"still here");
}

#[test]
fn without_a_certificate_there_is_nothing_but_the_reception() {
    let town = Town::new(brisk());
    let said = town.openssl(&["-alpn", "landfall-open/1", "-quiet", "-no_ign_eof"]);
    assert!(said.contains("a guest") && said.contains("hello"), "{said}");
    let said = town.openssl(&["-alpn", "landfall-named/1"]);
    assert!(said.contains("certificate required") && !said.contains("landfall:"), "{said}");
}

#[test]
fn openssl_with_a_certificate_is_let_in() {
    let town = Town::new(brisk());
    let own = town.issue(Role::Operator, "ann");
    let file = |name: &str| own.join(name).display().to_string();
    let (certificate, key) = (file("cert.pem"), file("key.pem"));
    let said = town.openssl(&[
        "-alpn",
        "landfall-named/1",
        "-quiet",
        "-no_ign_eof",
        "-cert",
        &certificate,
        "-key",
        &key,
    ]);
    assert!(said.contains("landfall:operator:ann") && said.contains("hello"), "{said}");
}

#[test]
fn a_revoked_peer_is_thrown_out_and_not_let_in_again() {
    let town = Town::new(brisk());
    let own = town.issue(Role::Source, "web-01");
    let (mut client, _) = town.enter(&own).expect("let in");
    let (mut other, _) = town.enter(&town.issue(Role::Source, "web-02")).expect("let in");
    town.revoked.add("web-01");
    assert_eq!(read_to_end(&mut client), b"");
    let error = town.enter(&own).expect_err("refused").to_string();
    assert!(error.contains("CertificateRevoked"), "{error}");
    other.write_all(b"x").expect("written");
    other.read_exact(&mut [0]).expect("the other is served on");
}
