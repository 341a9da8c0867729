//! One program for the firmware, of several parts: systemd's stub, with the kernel, the root file system and the command line as
//! sections of its own. A signature of it covers every byte that runs.
//!
//! The form is PE32+. Sections are added behind those that are there: a header of 40 bytes each, and the content at the end of the
//! file. Nothing that was there moves.

use crate::{Error, Result};

const SECTION_LEN: usize = 40;
/// Initialised data that is read.
const READ_DATA: u32 = 0x4000_0040;
const MAGIC_64: u16 = 0x20b;

/// A part.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// Its name, of eight letters at most.
    pub name: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
}

/// Returns the stub with these parts added. Errors: it is no such program, or its headers have no room.
pub fn add_sections(stub: &[u8], sections: &[Section<'_>]) -> Result<Vec<u8>> {
    let mut image = Image::read(stub)?;
    for section in sections {
        image.add(section)?;
    }
    Ok(image.bytes)
}

/// Returns the names of all sections with what is in them. Errors: it is no such program.
pub fn sections(bytes: &[u8]) -> Result<Vec<(String, &[u8])>> {
    let image = Image::read(bytes)?;
    let mut found = Vec::new();
    for index in 0..image.count {
        let at = image.table + index * SECTION_LEN;
        let name: Vec<u8> = bytes[at..at + 8].iter().copied().take_while(|letter| *letter != 0).collect();
        let (virtual_len, raw_len) = (number(bytes, at + 8)?, number(bytes, at + 16)?);
        let begin = number(bytes, at + 20)? as usize;
        let range = begin..begin + virtual_len.min(raw_len) as usize;
        let content = bytes.get(range).ok_or_else(|| wrong("a section is outside of it"))?;
        found.push((String::from_utf8_lossy(&name).into_owned(), content));
    }
    Ok(found)
}

struct Image {
    bytes: Vec<u8>,
    /// Where the headers of the program begin.
    coff: usize,
    optional: usize,
    table: usize,
    count: usize,
}

impl Image {
    fn read(bytes: &[u8]) -> Result<Self> {
        let coff = number(bytes, 0x3c)? as usize;
        if bytes.get(coff..coff + 4) != Some(b"PE\0\0") {
            return Err(wrong("it has no PE header"));
        }
        let (count, optional_len) = (short(bytes, coff + 6)?, short(bytes, coff + 20)?);
        let optional = coff + 24;
        if short(bytes, optional)? != MAGIC_64 {
            return Err(wrong("it is not of 64 bits"));
        }
        let (table, count) = (optional + usize::from(optional_len), usize::from(count));
        if bytes.len() < table + count * SECTION_LEN {
            return Err(wrong("it ends in its headers"));
        }
        Ok(Self { bytes: bytes.to_vec(), coff, optional, table, count })
    }

    fn add(&mut self, section: &Section<'_>) -> Result<()> {
        assert!(section.name.len() <= 8, "{} is a short name", section.name);
        let (memory_step, file_step) = (self.field(32)?, self.field(36)?);
        let header = self.table + self.count * SECTION_LEN;
        let room = self.field(60)? as usize;
        let free = self
            .bytes
            .get(header..header + SECTION_LEN)
            .is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0));
        if header + SECTION_LEN > room || !free {
            let len = (header + SECTION_LEN) as u64;
            return Err(Error::Room { what: "the headers of the stub", len, room: room as u64 });
        }
        let len = length(section.bytes.len())?;
        // The kernel says how much memory it unpacks itself into; the stub may run it in place.
        let memory_len = match section.name {
            ".linux" => number(section.bytes, Image::read(section.bytes)?.optional + 56)?.max(len),
            _ => len,
        };
        let address = self.end_in_memory()?.next_multiple_of(memory_step);
        self.pad(file_step)?;
        let begin = length(self.bytes.len())?;
        self.bytes.extend_from_slice(section.bytes);
        self.pad(file_step)?;
        let raw_len = length(self.bytes.len())? - begin;
        let mut name = [0; 8];
        name[..section.name.len()].copy_from_slice(section.name.as_bytes());
        self.bytes[header..header + 8].copy_from_slice(&name);
        let fields = [memory_len, address, raw_len, begin, 0, 0, 0, READ_DATA];
        for (index, field) in fields.into_iter().enumerate() {
            self.set(header + 8 + index * 4, field);
        }
        self.count += 1;
        let count = u16::try_from(self.count).map_err(|_| wrong("it has too many sections"))?;
        self.bytes[self.coff + 6..self.coff + 8].copy_from_slice(&count.to_le_bytes());
        let data = self.field(8)?.saturating_add(raw_len);
        self.set(self.optional + 8, data);
        let end = address.checked_add(memory_len).ok_or_else(|| wrong("it is too large"))?;
        self.set(self.optional + 56, end.next_multiple_of(memory_step));
        // No firmware asks for the checksum, and signing makes its own.
        self.set(self.optional + 64, 0);
        Ok(())
    }

    fn end_in_memory(&self) -> Result<u32> {
        let mut end = 0;
        for index in 0..self.count {
            let at = self.table + index * SECTION_LEN;
            end = end.max(number(&self.bytes, at + 12)?.saturating_add(number(&self.bytes, at + 8)?));
        }
        Ok(end)
    }

    fn pad(&mut self, step: u32) -> Result<()> {
        if step == 0 {
            return Err(wrong("its parts have no alignment"));
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(step as usize), 0);
        Ok(())
    }

    fn field(&self, at: usize) -> Result<u32> {
        number(&self.bytes, self.optional + at)
    }

    fn set(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
}

fn length(len: usize) -> Result<u32> {
    u32::try_from(len).map_err(|_| Error::Room {
        what: "a kernel image",
        len: len as u64,
        room: u64::from(u32::MAX),
    })
}

fn number(bytes: &[u8], at: usize) -> Result<u32> {
    let found = bytes.get(at..at.saturating_add(4)).and_then(|bytes| bytes.try_into().ok());
    found.map(u32::from_le_bytes).ok_or_else(|| wrong("it ends in its headers"))
}

fn short(bytes: &[u8], at: usize) -> Result<u16> {
    let found = bytes.get(at..at.saturating_add(2)).and_then(|bytes| bytes.try_into().ok());
    found.map(u16::from_le_bytes).ok_or_else(|| wrong("it ends in its headers"))
}

fn wrong(found: &str) -> Error {
    Error::Form {
        what: "a part of the kernel image".to_owned(),
        expected: "a program for the firmware",
        found: found.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stub with one section at 0x1000 and room for two more headers.
    fn stub() -> Vec<u8> {
        let mut bytes = vec![0; 0x400];
        bytes[0x3c..0x40].copy_from_slice(&0x40_u32.to_le_bytes());
        bytes[0x40..0x44].copy_from_slice(b"PE\0\0");
        bytes[0x46..0x48].copy_from_slice(&1_u16.to_le_bytes());
        bytes[0x54..0x56].copy_from_slice(&112_u16.to_le_bytes());
        bytes[0x58..0x5a].copy_from_slice(&MAGIC_64.to_le_bytes());
        let table = 0x58 + 112;
        for (at, value) in [(0x58 + 32, 0x1000), (0x58 + 36, 0x200), (0x58 + 60, table + 3 * 40)] {
            bytes[at..at + 4].copy_from_slice(&u32::try_from(value).expect("small").to_le_bytes());
        }
        bytes[table..table + 5].copy_from_slice(b".text");
        for (index, value) in [0x80_u32, 0x1000, 0x200, 0x200].into_iter().enumerate() {
            bytes[table + 8 + index * 4..table + 12 + index * 4].copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn sections_are_added_behind_what_is_there_and_nothing_moves() {
        let parts =
            [Section { name: ".cmdline", bytes: b"quiet" }, Section { name: ".initrd", bytes: &[7; 0x201] }];
        let image = add_sections(&stub(), &parts).expect("there is room for two");
        let found = sections(&image).expect("it is one still");
        assert_eq!(found[1], (".cmdline".to_owned(), b"quiet".as_slice()));
        assert_eq!(found[2], (".initrd".to_owned(), [7; 0x201].as_slice()));
        assert_eq!(image[0x200..0x400], stub()[0x200..0x400]);
        assert_eq!(image.len() % 0x200, 0);
        assert_eq!(number(&image, 0x58 + 56).expect("it is there"), 0x4000, "the size in memory");
    }

    #[test]
    fn a_stub_without_room_is_refused() {
        let part = Section { name: ".a", bytes: b"a" };
        let error = add_sections(&stub(), &[part, part, part]).expect_err("room for two").to_string();
        assert!(error.contains("the room is"), "{error}");
    }

    #[test]
    fn what_is_cut_or_something_else_is_refused_and_nothing_panics() {
        let stub = stub();
        for len in 0..stub.len() {
            let _ = sections(&stub[..len]);
        }
        add_sections(b"MZ", &[]).expect_err("two bytes");
        add_sections(&[0; 4096], &[]).expect_err("no PE header");
    }
}
