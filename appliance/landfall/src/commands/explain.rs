//! `landfall explain|completions|man|version`: what needs nobody else.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use control::{ApiError, Code, Entry, ErrorReply, TABLE, find_retired, retired_of};
use serde::Serialize;

use crate::arguments::Arguments;
use crate::paint::harmless;
use crate::screen::{Ending, Screen};
use crate::table::{Column, Table};

/// A line of the table of codes, for programs.
#[derive(Serialize)]
struct Explanation {
    code: String,
    title: &'static str,
    cause: &'static str,
    fix: &'static str,
    exit: u8,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    retired: Vec<u32>,
}

/// This program, for programs.
#[derive(Serialize)]
struct Version {
    name: &'static str,
    version: &'static str,
}

/// Where the manual begins, for programs.
#[derive(Serialize)]
struct Written<'a> {
    manual: &'a Path,
}

/// Explains one code, or lists them all.
pub(super) fn explain(screen: &Screen, code: Option<&str>) -> Result<Ending, ErrorReply> {
    let Some(text) = code else {
        let all: Vec<_> = TABLE.iter().map(explanation).collect();
        screen.show(&all, |all, paint| {
            let mut table = Table::new([Column::Text("CODE"), Column::Number("EXIT"), Column::Text("WHAT")]);
            for line in all {
                table.row([line.code.as_str().into(), line.exit.to_string().into(), line.title.into()]);
            }
            table.render(paint)
        })?;
        return Ok(Ending::Done);
    };
    let found = Code::find(text).or_else(|| find_retired(text)).ok_or_else(|| {
        ApiError::new(Code::BadArgument, format!("{} is not an error code", harmless(text)))
            .because("a code is LF- and four digits, and is in the table")
            .fixed_by("see them all with `landfall explain`")
    })?;
    screen.show(&explanation(found.entry()), |line, _| {
        let retired: Vec<_> = line.retired.iter().map(u32::to_string).collect();
        let known = match retired.is_empty() {
            true => String::new(),
            false => format!("  in the retired product: {}\n", retired.join(", ")),
        };
        format!(
            "{}: {}\n  cause: {}\n  fix:   {}\n  exit code {}\n{known}",
            line.code, line.title, line.cause, line.fix, line.exit
        )
    })?;
    Ok(Ending::Done)
}

/// Writes a completion script.
pub(super) fn completions(screen: &Screen, shell: Shell) -> Result<Ending, ErrorReply> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "landfall", &mut script);
    screen.text(&String::from_utf8_lossy(&script))?;
    Ok(Ending::Done)
}

/// Writes the manual.
pub(super) fn manual(screen: &Screen, directory: &Path) -> Result<Ending, ErrorReply> {
    let written = std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), directory));
    written.map_err(|cause| {
        let what = format!("the manual can't be written to {}", directory.display());
        ErrorReply::from(ApiError::new(Code::ManualWrite, what).because(cause))
    })?;
    let index = directory.join("landfall.1");
    let written = Written { manual: &index };
    screen.show(&written, |written, _| {
        format!("the manual is written: `man {}`\n", written.manual.display())
    })?;
    Ok(Ending::Done)
}

/// Shows the version.
pub(super) fn version(screen: &Screen) -> Result<Ending, ErrorReply> {
    let version = Version { name: "landfall", version: env!("CARGO_PKG_VERSION") };
    screen.show(&version, |version, _| format!("{} {}\n", version.name, version.version))?;
    Ok(Ending::Done)
}

fn explanation(entry: &Entry) -> Explanation {
    let Entry { code, title, cause, fix, exit, .. } = *entry;
    Explanation { code: code.to_string(), title, cause, fix, exit: exit.number(), retired: retired_of(code) }
}
