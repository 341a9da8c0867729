//! `landfalld join`: a master target becomes another configuration server's.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use wire::{JoinToken, Role};
use zeroize::Zeroizing;

use crate::house::{IDENTITY, make};

/// Characters of a file with a token, at most.
const TOKEN_FILE_LEN_MAX: u64 = 4096;

/// `landfalld join`.
#[derive(Debug, Args)]
pub(crate) struct JoinArguments {
    /// The configuration server; port 443 unless another is given
    #[arg(long = "at", value_name = "HOST[:PORT]", value_parser = units::parse_controller)]
    at: String,
    /// The file with the token of `landfall server token --role master-target`; - for standard input
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// Directory of what landfalld keeps
    #[arg(long, value_name = "DIR", default_value = "/var/lib/landfall")]
    state: PathBuf,
}

/// Joins, and says what to do next.
pub(crate) fn join(arguments: &JoinArguments) -> Result<()> {
    let token = read_token(&arguments.token_file)?;
    let role = token.identity.role;
    ensure!(
        role == Role::MasterTarget,
        "the token is for the role {role}, and landfalld joins as master-target"
    );
    let own = arguments.state.join("ca");
    ensure!(!own.exists(), "this server has an authority of its own, in {}", own.display());
    make(&arguments.state)?;
    let place = arguments.state.join(IDENTITY);
    let software = concat!("landfalld ", env!("CARGO_PKG_VERSION"));
    let facts = enrol::join(&arguments.at, &token, &place, software).context("it could not join")?;
    println!("joined as {} until {}; start it with --roles master-target", facts.identity, facts.not_after);
    Ok(())
}

fn read_token(path: &Path) -> Result<JoinToken> {
    let mut text = Zeroizing::new(String::new());
    let read = if path == Path::new("-") {
        io::stdin().take(TOKEN_FILE_LEN_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(TOKEN_FILE_LEN_MAX).read_to_string(&mut text))
    };
    read.with_context(|| format!("the token in {} can't be read", path.display()))?;
    Ok(JoinToken::read(&text)?)
}
