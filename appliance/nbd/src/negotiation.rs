//! What server and client agree on before the first request: a function of the options that came, without a socket.

use crate::exports::{Exports, Offer};
use crate::protocol::option::{ClientOption, EXPORT_NAME, MetaQuery, OptionError, decode_option};
use crate::protocol::reply::{Answer, put_answer, put_export_name, put_infos};
use crate::protocol::request::Terms;
use crate::protocol::{ALLOCATION_CONTEXT, ALLOCATION_CONTEXT_ID};

/// Options one client may send; one more ends the connection.
pub(crate) const OPTIONS_MAX: u32 = 256;

/// How the connection is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrecy {
    /// By the socket itself: TLS is not offered.
    Local,
    /// By TLS, which has yet to begin: nothing else is answered.
    TlsRequired,
    /// By TLS.
    Tls,
}

/// What has been agreed on so far.
pub(crate) struct Negotiation {
    exports: Exports,
    secrecy: Secrecy,
    no_zeroes: bool,
    structured: bool,
    /// The image whose block status was chosen, by its number.
    status_of: Option<usize>,
    options: u32,
}

/// What comes after an option.
#[derive(Debug)]
pub(crate) enum Next {
    /// The next option.
    Option,
    /// The TLS handshake, then the next option.
    StartTls,
    /// Requests.
    Requests(Agreed),
    /// The end.
    Close,
}

/// What was agreed on.
#[derive(Clone, Debug)]
pub(crate) struct Agreed {
    /// The image.
    pub(crate) offer: Offer,
    /// What may be asked of it.
    pub(crate) terms: Terms,
}

impl Negotiation {
    /// Begins with a client that has, or has not, declined needless zeroes.
    pub(crate) fn new(exports: Exports, secrecy: Secrecy, no_zeroes: bool) -> Self {
        Self { exports, secrecy, no_zeroes, structured: false, status_of: None, options: 0 }
    }

    /// Starts again under TLS: what was said in the clear doesn't count.
    pub(crate) fn encrypted(self) -> Self {
        assert_eq!(self.secrecy, Secrecy::TlsRequired, "TLS begins once");
        Self { secrecy: Secrecy::Tls, structured: false, status_of: None, ..self }
    }

    /// Answers an option that was too long to read.
    pub(crate) fn answer_too_big(&mut self, number: u32, out: &mut Vec<u8>) -> Next {
        let next = self.refuse(number, Answer::TooBig, out);
        self.counted(next)
    }

    /// Answers an option: appends what to say to `out`, and returns what comes next.
    pub(crate) fn answer(&mut self, number: u32, data: &[u8], out: &mut Vec<u8>) -> Next {
        let next = match decode_option(number, data) {
            Ok(option) => self.answer_known(number, &option, out),
            Err(OptionError::Unknown) => self.refuse(number, Answer::Unsupported, out),
            Err(OptionError::Malformed) => self.refuse(number, Answer::Invalid, out),
        };
        self.counted(next)
    }

    fn answer_known(&mut self, number: u32, option: &ClientOption<'_>, out: &mut Vec<u8>) -> Next {
        match option {
            ClientOption::Abort => {
                put_answer(out, number, Answer::Ack, &[]);
                Next::Close
            }
            ClientOption::StartTls => self.start_tls(number, out),
            _ if self.secrecy == Secrecy::TlsRequired => self.refuse(number, Answer::TlsRequired, out),
            ClientOption::ExportName(name) => self.export_name(name, out),
            ClientOption::List => self.list(number, out),
            ClientOption::Info(name) => {
                self.describe(number, name, out);
                Next::Option
            }
            ClientOption::Go(name) => self.describe(number, name, out).map_or(Next::Option, Next::Requests),
            ClientOption::StructuredReply => {
                self.structured = true;
                put_answer(out, number, Answer::Ack, &[]);
                Next::Option
            }
            ClientOption::ListMeta(query) => self.list_meta(number, query, out),
            ClientOption::SetMeta(query) => self.set_meta(number, query, out),
        }
    }

    /// Ends a negotiation that leads nowhere.
    fn counted(&mut self, next: Next) -> Next {
        self.options += 1;
        if self.options >= OPTIONS_MAX && matches!(next, Next::Option) { Next::Close } else { next }
    }

    /// Says no; where there is no way to say it, the connection ends.
    fn refuse(&self, number: u32, answer: Answer, out: &mut Vec<u8>) -> Next {
        if number == EXPORT_NAME {
            return Next::Close;
        }
        let answer = if self.secrecy == Secrecy::TlsRequired { Answer::TlsRequired } else { answer };
        put_answer(out, number, answer, &[]);
        Next::Option
    }

    fn start_tls(&mut self, number: u32, out: &mut Vec<u8>) -> Next {
        match self.secrecy {
            Secrecy::TlsRequired => {
                put_answer(out, number, Answer::Ack, &[]);
                Next::StartTls
            }
            Secrecy::Tls => self.refuse(number, Answer::Invalid, out),
            Secrecy::Local => self.refuse(number, Answer::Policy, out),
        }
    }

    /// There is no way to refuse a name here but to end.
    fn export_name(&mut self, name: &[u8], out: &mut Vec<u8>) -> Next {
        let Some(agreed) = self.agree(name) else { return Next::Close };
        put_export_name(out, &agreed.terms, self.no_zeroes);
        Next::Requests(agreed)
    }

    fn list(&mut self, number: u32, out: &mut Vec<u8>) -> Next {
        for name in self.exports.names() {
            put_answer(out, number, Answer::Server, &string(name.as_bytes()));
        }
        put_answer(out, number, Answer::Ack, &[]);
        Next::Option
    }

    fn describe(&mut self, number: u32, name: &[u8], out: &mut Vec<u8>) -> Option<Agreed> {
        let agreed = self.agree(name);
        match &agreed {
            Some(agreed) => {
                put_infos(out, number, &agreed.terms);
                put_answer(out, number, Answer::Ack, &[]);
            }
            None => put_answer(out, number, Answer::UnknownExport, b"there is no image of that name"),
        }
        agreed
    }

    fn agree(&self, name: &[u8]) -> Option<Agreed> {
        let offer = self.exports.find(name)?.clone();
        let terms = Terms {
            len: offer.image.len(),
            writable: offer.image.is_writable(),
            structured: self.structured,
            status: self.status_of == Some(offer.number),
        };
        Some(Agreed { offer, terms })
    }

    fn list_meta(&mut self, number: u32, query: &MetaQuery<'_>, out: &mut Vec<u8>) -> Next {
        let means_ours = |query: &&[u8]| [ALLOCATION_CONTEXT, b"base:"].contains(query);
        if self.structured && self.exports.find(query.export).is_some() {
            if query.queries.is_empty() || query.queries.iter().any(means_ours) {
                put_context(out, number, 0);
            }
            put_answer(out, number, Answer::Ack, &[]);
        } else {
            self.put_meta_refusal(number, out);
        }
        Next::Option
    }

    fn set_meta(&mut self, number: u32, query: &MetaQuery<'_>, out: &mut Vec<u8>) -> Next {
        self.status_of = None;
        match self.exports.find(query.export) {
            Some(offer) if self.structured => {
                if query.queries.contains(&ALLOCATION_CONTEXT) {
                    self.status_of = Some(offer.number);
                    put_context(out, number, ALLOCATION_CONTEXT_ID);
                }
                put_answer(out, number, Answer::Ack, &[]);
            }
            _ => self.put_meta_refusal(number, out),
        }
        Next::Option
    }

    /// Structured replies come first; failing that, it is the name.
    fn put_meta_refusal(&self, number: u32, out: &mut Vec<u8>) {
        if self.structured {
            put_answer(out, number, Answer::UnknownExport, b"there is no image of that name");
        } else {
            put_answer(out, number, Answer::Invalid, b"block status needs structured replies");
        }
    }
}

fn put_context(out: &mut Vec<u8>, option: u32, id: u32) {
    let data = [&id.to_be_bytes(), ALLOCATION_CONTEXT].concat();
    put_answer(out, option, Answer::MetaContext, &data);
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).expect("names are short");
    [&len.to_be_bytes(), bytes].concat()
}
