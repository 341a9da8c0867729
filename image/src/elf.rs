//! What ELF files say of themselves: the libraries a program needs, and sections by name.

use crate::{Error, Result};

const MAGIC: &[u8] = b"\x7fELF\x02\x01";
const SEGMENT_LOAD: u64 = 1;
const SEGMENT_DYNAMIC: u64 = 2;
const SEGMENT_INTERPRETER: u64 = 3;
const TAG_NEEDED: u64 = 1;
const TAG_STRINGS: u64 = 5;
/// More entries than any program has.
const ENTRIES_MAX: u64 = 4096;

/// What a program or library needs to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The program that loads it, such as `/lib64/ld-linux-x86-64.so.2`.
    pub interpreter: Option<String>,
    /// Names of libraries.
    pub libraries: Vec<String>,
}

/// Says whether bytes are an ELF file of 64 bits.
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Returns what a program or library needs. Errors: it is no ELF file of 64 bits, or says what can't be.
pub fn needs(what: &str, bytes: &[u8]) -> Result<Needs> {
    let file = Bytes { what, bytes };
    file.is_elf()?;
    let (at, len, count) = (file.number(32, 8)?, file.number(54, 2)?, file.number(56, 2)?);
    let (mut needs, mut loads, mut dynamic) = (Needs::default(), Vec::new(), None);
    for index in 0..count {
        let header = at + index * len;
        let offset = file.number(header + 8, 8)?;
        let (address, size) = (file.number(header + 16, 8)?, file.number(header + 32, 8)?);
        match file.number(header, 4)? {
            SEGMENT_LOAD => loads.push((address, offset, size)),
            SEGMENT_DYNAMIC => dynamic = Some((offset, size / 16)),
            SEGMENT_INTERPRETER => needs.interpreter = Some(file.text(offset)?),
            _ => {}
        }
    }
    let Some((offset, count)) = dynamic else { return Ok(needs) };
    let (mut names, mut strings) = (Vec::new(), 0);
    for index in 0..count.min(ENTRIES_MAX) {
        let entry = offset + index * 16;
        match (file.number(entry, 8)?, file.number(entry + 8, 8)?) {
            (0, _) => break,
            (TAG_NEEDED, name) => names.push(name),
            (TAG_STRINGS, address) => strings = address,
            _ => {}
        }
    }
    let place =
        loads.iter().find(|(address, _, size)| (*address..address.saturating_add(*size)).contains(&strings));
    let (address, offset, _) = place.ok_or_else(|| file.wrong("its names are outside of it"))?;
    for name in names {
        needs.libraries.push(file.text(strings - address + offset + name)?);
    }
    Ok(needs)
}

/// Returns the content of a section. Errors: it is no ELF file of 64 bits, or says what can't be.
pub fn section<'a>(what: &'a str, bytes: &'a [u8], wanted: &str) -> Result<Option<&'a [u8]>> {
    let file = Bytes { what, bytes };
    file.is_elf()?;
    let (at, len, count) = (file.number(40, 8)?, file.number(58, 2)?, file.number(60, 2)?);
    let names = file.number(at + file.number(62, 2)? * len + 24, 8)?;
    for index in 0..count {
        let header = at + index * len;
        if file.text(names + file.number(header, 4)?)? == wanted {
            let (offset, size) = (file.number(header + 24, 8)?, file.number(header + 32, 8)?);
            return file.range(offset, size).map(Some);
        }
    }
    Ok(None)
}

struct Bytes<'a> {
    what: &'a str,
    bytes: &'a [u8],
}

impl<'a> Bytes<'a> {
    fn is_elf(&self) -> Result<()> {
        if is_elf(self.bytes) { Ok(()) } else { Err(self.wrong("its first bytes are others")) }
    }

    fn wrong(&self, found: &str) -> Error {
        Error::Form {
            what: self.what.to_owned(),
            expected: "an ELF file of 64 bits",
            found: found.to_owned(),
        }
    }

    fn range(&self, at: u64, len: u64) -> Result<&'a [u8]> {
        let end = at.checked_add(len).and_then(|end| usize::try_from(end).ok());
        let range = end.and_then(|end| self.bytes.get(usize::try_from(at).ok()?..end));
        range.ok_or_else(|| self.wrong("it ends too early"))
    }

    fn number(&self, at: u64, len: u64) -> Result<u64> {
        Ok(self.range(at, len)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn text(&self, at: u64) -> Result<String> {
        let rest = usize::try_from(at).ok().and_then(|at| self.bytes.get(at..));
        let rest = rest.ok_or_else(|| self.wrong("a name is outside of it"))?;
        let end = rest.iter().position(|byte| *byte == 0).ok_or_else(|| self.wrong("a name has no end"))?;
        Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Vec<u8> {
        std::fs::read(std::env::current_exe().expect("this runs")).expect("it can be read")
    }

    #[test]
    fn this_very_program_needs_the_c_library_and_its_loader() {
        let needs = needs("this", &own()).expect("it runs");
        assert_eq!(needs.interpreter.as_deref(), Some("/lib64/ld-linux-x86-64.so.2"));
        assert!(needs.libraries.iter().any(|name| name == "libc.so.6"), "{needs:?}");
    }

    #[test]
    fn sections_are_found_by_name() {
        let own = own();
        let found = section("this", &own, ".interp").expect("it is ELF");
        assert_eq!(found, Some(b"/lib64/ld-linux-x86-64.so.2\0".as_slice()));
        assert_eq!(section("this", &own, ".none").expect("it is ELF"), None);
    }

    #[test]
    fn a_file_cut_anywhere_in_its_headers_is_refused_and_nothing_panics() {
        let own = own();
        for len in (0..2048).chain([own.len() / 2]) {
            let _ = section("this", &own[..len], ".interp");
            let _ = needs("this", &own[..len]);
        }
        needs("this", &own[..1000]).expect_err("its tables are behind that");
        needs("this", b"#!/bin/sh\n").expect_err("a script");
    }
}
