//! The document a hypervisor hands to a guest (DSP0243, 9.5): XML, of which only the properties are read.
//!
//! ```text
//! <Environment xmlns="http://schemas.dmtf.org/ovf/environment/1" xmlns:oe="http://schemas.dmtf.org/ovf/environment/1" …>
//!   <PropertySection><Property oe:key="landfall.hostname" oe:value="home"/></PropertySection>
//! </Environment>
//! ```
//! It is read as a list of tags with their attributes. What is needed of XML is here: five named entities, numbered ones, remarks,
//! CDATA; documents that declare entities of their own are refused.

use std::collections::BTreeMap;

/// Bytes a document may have.
pub const ENVIRONMENT_LEN_MAX: usize = 64 << 10;
/// Properties a document may have.
const PROPERTIES_MAX: usize = 256;

/// A decoder as fuzzing sees it.
pub type Decoder = fn(&[u8]);

/// Every decoder of this crate, by name, for fuzzing: each takes any bytes and must not panic.
pub const DECODERS: &[(&str, Decoder)] = &[("ovf-environment", |bytes| drop(read_environment(bytes)))];

/// Why a document can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// It is too long.
    #[error("the OVF environment has {found} bytes; allowed are {ENVIRONMENT_LEN_MAX}")]
    TooLong {
        /// How long it is.
        found: usize,
    },
    /// It is not UTF-8.
    #[error("the OVF environment is no UTF-8")]
    Letters,
    /// It is not the XML that is allowed.
    #[error("the OVF environment, byte {at}: {what}")]
    Form {
        /// Where, in bytes.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// There are too many properties.
    #[error("the OVF environment has more than {PROPERTIES_MAX} properties")]
    Many,
}

/// Reads the properties of a document: key and value, as they are there. Errors: it is too long, or not such a document.
pub fn read_environment(bytes: &[u8]) -> Result<BTreeMap<String, String>, EnvironmentError> {
    if bytes.len() > ENVIRONMENT_LEN_MAX {
        return Err(EnvironmentError::TooLong { found: bytes.len() });
    }
    // Some hypervisors hand it over with zeros behind.
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| EnvironmentError::Letters)?;
    let (mut reader, mut found, mut seen) = (Reader { text, at: 0 }, BTreeMap::new(), false);
    while let Some(tag) = reader.tag()? {
        let name =
            tag.split(|letter: char| letter.is_whitespace() || letter == '/').next().unwrap_or_default();
        seen |= local(name) == "Environment";
        if local(name) == "Property" {
            let (key, value) = property(tag, reader.at)?;
            found.insert(key, value);
        }
        if found.len() > PROPERTIES_MAX {
            return Err(EnvironmentError::Many);
        }
    }
    if seen { Ok(found) } else { Err(EnvironmentError::Form { at: 0, what: "it is no <Environment>" }) }
}

/// Returns a name without the name space it is in.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn wrong(&self, what: &'static str) -> EnvironmentError {
        EnvironmentError::Form { at: self.at, what }
    }

    /// Returns what is between the next `<` and its `>`; remarks and instructions are passed over.
    fn tag(&mut self) -> Result<Option<&'a str>, EnvironmentError> {
        loop {
            let rest = &self.text[self.at..];
            let Some(begin) = rest.find('<') else { return Ok(None) };
            self.at += begin;
            let rest = &self.text[self.at..];
            let (begin, end) = match rest {
                _ if rest.starts_with("<!--") => ("<!--", "-->"),
                _ if rest.starts_with("<![CDATA[") => ("<![CDATA[", "]]>"),
                _ if rest.starts_with("<?") => ("<?", "?>"),
                _ if rest.starts_with("<!") => return Err(self.wrong("it declares a type of its own")),
                _ => return self.plain().map(Some),
            };
            let len = rest[begin.len()..].find(end).ok_or_else(|| self.wrong("a remark has no end"))?;
            self.at += begin.len() + len + end.len();
        }
    }

    /// A tag ends at the first `>` that is not in quotes.
    fn plain(&mut self) -> Result<&'a str, EnvironmentError> {
        let rest = &self.text[self.at + 1..];
        let mut quote = None;
        for (index, letter) in rest.char_indices() {
            match (quote, letter) {
                (None, '>') => {
                    self.at += index + 2;
                    return Ok(&rest[..index]);
                }
                (None, '<') => return Err(self.wrong("a tag begins in another one")),
                (None, '"' | '\'') => quote = Some(letter),
                (Some(begun), _) if begun == letter => quote = None,
                _ => {}
            }
        }
        Err(self.wrong("a tag has no end"))
    }
}

fn property(tag: &str, at: usize) -> Result<(String, String), EnvironmentError> {
    let wrong = |what| EnvironmentError::Form { at, what };
    let (mut key, mut value) = (None, None);
    let mut rest = tag.split_once(char::is_whitespace).map_or("", |(_, rest)| rest).trim();
    while !rest.trim_end_matches('/').is_empty() {
        let (name, after) = rest.split_once('=').ok_or_else(|| wrong("an attribute has no value"))?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|letter| ['"', '\''].contains(letter));
        let quote = quote.ok_or_else(|| wrong("a value has no quotes"))?;
        let (content, behind) = after[1..].split_once(quote).ok_or_else(|| wrong("a value has no end"))?;
        match local(name.trim()) {
            "key" => key = Some(plain_text(content).ok_or_else(|| wrong("it has an unknown entity"))?),
            "value" => value = Some(plain_text(content).ok_or_else(|| wrong("it has an unknown entity"))?),
            _ => {}
        }
        rest = behind.trim_start();
    }
    let key = key.ok_or_else(|| wrong("a property has no key"))?;
    Ok((key, value.unwrap_or_default()))
}

/// Returns a value with its entities replaced.
fn plain_text(value: &str) -> Option<String> {
    let mut text = String::with_capacity(value.len());
    let mut parts = value.split('&');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, rest) = part.split_once(';')?;
        text.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = name.strip_prefix('#')?;
                let number = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(number)?
            }
        });
        text.push_str(rest);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIMEN: &str = include_str!("../tests/specimen.xml");

    #[test]
    fn properties_are_read_with_their_entities_whatever_the_order_of_attributes() {
        let found = read_environment(SPECIMEN.as_bytes()).expect("it is one");
        let found: Vec<_> = found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let wanted = [
            ("landfall.hostname", "home & hearth"),
            ("landfall.retention", "a \"quoted\" > b"),
            ("other", ""),
        ];
        assert_eq!(found, wanted);
        let zeros = [SPECIMEN.as_bytes(), &[0; 16]].concat();
        assert_eq!(read_environment(&zeros).expect("zeros behind it").len(), 3);
    }

    #[test]
    fn what_is_no_environment_is_refused() {
        for text in
            ["", "hello", "<Envelope/>", "<!DOCTYPE x [<!ENTITY a \"b\">]><Environment/>", "<Environment"]
        {
            read_environment(text.as_bytes()).expect_err(text);
        }
        let unknown = "<Environment><Property oe:key=\"a\" oe:value=\"&b;\"/></Environment>";
        read_environment(unknown.as_bytes()).expect_err("an entity of its own");
        read_environment(&[b' '; ENVIRONMENT_LEN_MAX + 1]).expect_err("too long");
        read_environment(&[0xff, 0xfe]).expect_err("no UTF-8");
    }

    #[test]
    fn no_cut_and_no_flipped_bit_makes_it_panic() {
        let bytes = SPECIMEN.as_bytes();
        (0..bytes.len()).for_each(|len| drop(read_environment(&bytes[..len])));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            drop(read_environment(&flipped));
        }
    }
}
