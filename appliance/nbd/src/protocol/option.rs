//! What a client may ask before it reads: names, sizes, TLS, structured replies, block status.

use super::{FIXED_NEWSTYLE, Fields, NO_ZEROES, OPTION_MAGIC, ProtocolError};

/// Bytes in the head of an option.
pub(crate) const OPTION_HEAD_LEN: usize = 16;
/// Bytes in an option, at most; a longer one is skipped and answered with an error,
pub(crate) const OPTION_LEN_MAX: u32 = 8 << 10;
/// unless it is longer than this: then the connection ends.
pub(crate) const OPTION_SKIP_MAX: u32 = 64 << 10;

/// The number of the one option without an error reply: it is answered by the image, or the connection ends.
pub(crate) const EXPORT_NAME: u32 = 1;
/// The option after which everything is encrypted.
pub(crate) const START_TLS: u32 = 5;

/// The head of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OptionHead {
    /// Its number.
    pub(crate) number: u32,
    /// Bytes that follow.
    pub(crate) len: u32,
}

/// An option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientOption<'a> {
    /// Begin with the image of this name.
    ExportName(&'a [u8]),
    /// End.
    Abort,
    /// Name the images.
    List,
    /// Begin to encrypt.
    StartTls,
    /// Describe the image of this name.
    Info(&'a [u8]),
    /// Describe it and begin.
    Go(&'a [u8]),
    /// Reply in chunks from now on.
    StructuredReply,
    /// Name the kinds of block status.
    ListMeta(MetaQuery<'a>),
    /// Choose kinds of block status.
    SetMeta(MetaQuery<'a>),
}

/// Which kinds of block status a client means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetaQuery<'a> {
    /// The name of the image.
    pub(crate) export: &'a [u8],
    /// The kinds, or beginnings of their names.
    pub(crate) queries: Vec<&'a [u8]>,
}

/// Why an option is answered with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OptionError {
    /// Its number is not known here.
    Unknown,
    /// Its bytes don't make sense.
    Malformed,
}

/// Reads the client's first word: whether zeroes are left out. Errors: flags that are not known.
pub(crate) fn decode_client_flags(bytes: [u8; 4]) -> Result<bool, ProtocolError> {
    let found = u32::from_be_bytes(bytes);
    if found & !u32::from(FIXED_NEWSTYLE | NO_ZEROES) != 0 {
        return Err(ProtocolError::ClientFlags { found });
    }
    Ok(found & u32::from(NO_ZEROES) != 0)
}

/// Reads the head of an option. Errors: not an option, or too long even to skip.
pub(crate) fn decode_option_head(bytes: [u8; OPTION_HEAD_LEN]) -> Result<OptionHead, ProtocolError> {
    let mut fields = Fields(&bytes);
    let mut next = || fields.u32().expect("a head holds four numbers of 32 bits");
    let magic = u64::from(next()) << 32 | u64::from(next());
    let (number, len) = (next(), next());
    if magic != u64::from_be_bytes(*OPTION_MAGIC) {
        return Err(ProtocolError::Magic { expected: "an option", found: magic });
    }
    if len > OPTION_SKIP_MAX {
        return Err(ProtocolError::OptionLen { found: len });
    }
    Ok(OptionHead { number, len })
}

/// Reads an option of this number. Errors: it is not known, or its bytes don't make sense.
pub(crate) fn decode_option(number: u32, data: &[u8]) -> Result<ClientOption<'_>, OptionError> {
    let alone = |option| if data.is_empty() { Some(option) } else { None };
    let option = match number {
        EXPORT_NAME => Some(ClientOption::ExportName(data)),
        2 => Some(ClientOption::Abort),
        3 => alone(ClientOption::List),
        START_TLS => alone(ClientOption::StartTls),
        6 => decode_info(data).map(ClientOption::Info),
        7 => decode_info(data).map(ClientOption::Go),
        8 => alone(ClientOption::StructuredReply),
        9 => decode_meta(data).map(ClientOption::ListMeta),
        10 => decode_meta(data).map(ClientOption::SetMeta),
        _ => return Err(OptionError::Unknown),
    };
    option.ok_or(OptionError::Malformed)
}

/// Reads the name; what the client would like to know is told in any case.
fn decode_info(data: &[u8]) -> Option<&[u8]> {
    let mut fields = Fields(data);
    let name = fields.string()?;
    let wishes = fields.u16()?;
    fields.bytes(usize::from(wishes) * 2)?;
    fields.end()?;
    Some(name)
}

fn decode_meta(data: &[u8]) -> Option<MetaQuery<'_>> {
    let mut fields = Fields(data);
    let export = fields.string()?;
    let count = fields.u32()?;
    let mut queries = Vec::new();
    for _ in 0..count {
        queries.push(fields.string()?);
    }
    fields.end()?;
    Some(MetaQuery { export, queries })
}
