//! Certificates for the peers, under the names they expect.

use std::path::{Path, PathBuf};

use anyhow::Result;
use landfall_tests::command::{command, run};
use landfall_tests::lab::Lab;

const NEW: &[&str] =
    &["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "7"];
const AUTHORITY: &[&str] = &["-keyout", "ca-key.pem", "-out", "ca-cert.pem", "-subj", "/CN=bench"];
const SIGNS: &[&str] = &["-addext", "keyUsage=critical,keyCertSign"];
const SERVER: &[&str] = &["-keyout", "server-key.pem", "-out", "server-cert.pem", "-subj", "/CN=localhost"];
const CLIENT: &[&str] = &["-keyout", "client-key.pem", "-out", "client-cert.pem", "-subj", "/CN=client"];
const SIGNED: &[&str] =
    &["-CA", "ca-cert.pem", "-CAkey", "ca-key.pem", "-addext", "basicConstraints=critical,CA:false"];
const NAMES: &[&str] = &["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];

/// Makes one directory with an authority, a server and a client. Errors: `openssl` fails.
pub(crate) fn make(lab: &Lab) -> Result<PathBuf> {
    let directory = lab.directory("peer-tls")?;
    openssl(&directory, &[NEW, AUTHORITY, SIGNS])?;
    openssl(&directory, &[NEW, SERVER, SIGNED, NAMES])?;
    openssl(&directory, &[NEW, CLIENT, SIGNED, NAMES])?;
    Ok(directory)
}

fn openssl(directory: &Path, arguments: &[&[&str]]) -> Result<()> {
    run(command("openssl").current_dir(directory).args(arguments.concat())).map(drop)
}
