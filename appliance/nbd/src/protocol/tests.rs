//! Golden bytes, every flipped bit, every truncation.

use units::ByteLen;

use super::decoders::DECODERS;
use super::option::{
    ClientOption, MetaQuery, OptionError, OptionHead, decode_client_flags, decode_option, decode_option_head,
};
use super::request::{Action, Errno, Terms, decode_request};
use super::{FIXED_NEWSTYLE, NO_ZEROES, ProtocolError};

/// A request to read 64 KiB at 1 MiB, as libnbd sends it.
const READ: [u8; 28] =
    [0x25, 0x60, 0x95, 0x13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 1, 0, 0];
/// The head of an option to go on, with 11 bytes behind it.
const HEAD: [u8; 16] = *b"IHAVEOPT\0\0\0\x07\0\0\0\x0b";
/// The data of an option to go on: the image "0", and two things to know about it.
const GO: &[u8] = b"\0\0\0\x010\0\x02\0\x00\0\x03";
/// The data of an option to choose block status.
const META: &[u8] = b"\0\0\0\x010\0\0\0\x02\0\0\0\x0fbase:allocation\0\0\0\x06qemu:x";

const TERMS: Terms = Terms { len: ByteLen::mib(2), writable: false, structured: true, status: true };

#[test]
fn golden_bytes_say_what_they_said() {
    assert_eq!(decode_client_flags([0, 0, 0, 3]), Ok(true));
    assert_eq!(decode_client_flags([0, 0, 0, 1]), Ok(false));
    assert_eq!(decode_option_head(HEAD), Ok(OptionHead { number: 7, len: 11 }));
    assert_eq!(decode_option(7, GO), Ok(ClientOption::Go(b"0")));
    assert_eq!(decode_option(6, GO), Ok(ClientOption::Info(b"0")));
    assert_eq!(decode_option(1, b"name"), Ok(ClientOption::ExportName(b"name")));
    let query = MetaQuery { export: b"0", queries: vec![b"base:allocation", b"qemu:x"] };
    assert_eq!(decode_option(10, META), Ok(ClientOption::SetMeta(query.clone())));
    assert_eq!(decode_option(9, META), Ok(ClientOption::ListMeta(query)));
    let request = decode_request(READ).expect("golden bytes");
    assert_eq!(request.cookie, 9);
    let Ok(Action::Read { stretch, whole: false }) = request.check(&TERMS) else { panic!("{request:?}") };
    assert_eq!((stretch.at.0, stretch.len), (1 << 20, ByteLen::kib(64)));
}

#[test]
fn no_flipped_bit_goes_unnoticed() {
    let golden = decode_request(READ).expect("golden bytes");
    for bit in 0..READ.len() * 8 {
        let mut bytes = READ;
        bytes[bit / 8] ^= 1 << (bit % 8);
        let decoded = decode_request(bytes);
        assert_ne!(decoded, Ok(golden), "bit {bit}");
        assert_eq!(decoded.is_err(), bit < 32, "bit {bit}: a request is known by its first four bytes");
        if (32..48).contains(&bit)
            && let Ok(request) = decoded
        {
            let lawful = [0, 2].map(|flag| 40 + flag).contains(&bit);
            assert_eq!(
                request.check(&TERMS).is_ok(),
                lawful,
                "bit {bit}: flags that are not known are refused"
            );
        }
    }
    for bit in 0..HEAD.len() * 8 {
        let mut bytes = HEAD;
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(decode_option_head(bytes), decode_option_head(HEAD), "bit {bit}");
    }
    for bit in 0..32 {
        let flags = (u32::from(FIXED_NEWSTYLE | NO_ZEROES) ^ 1 << bit).to_be_bytes();
        assert_eq!(decode_client_flags(flags).is_ok(), bit < 2, "bit {bit}");
    }
    for (number, data) in [(7, GO), (10, META)] {
        let golden = decode_option(number, data);
        for bit in 0..data.len() * 8 {
            let mut bytes = data.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // What a client would like to know is told in any case: these bytes don't count.
            let counts = number == 10 || bit / 8 < 7;
            assert_eq!(decode_option(number, &bytes) != golden, counts, "bit {bit} of option {number}");
        }
    }
}

#[test]
fn no_truncated_or_lengthened_option_is_taken() {
    for (number, data) in [(6, GO), (7, GO), (9, META), (10, META)] {
        for len in 0..data.len() {
            assert_eq!(decode_option(number, &data[..len]), Err(OptionError::Malformed), "{len} of {number}");
        }
        assert_eq!(decode_option(number, &[data, &[0]].concat()), Err(OptionError::Malformed));
    }
    for number in [3, 5, 8] {
        assert!(decode_option(number, &[]).is_ok());
        assert_eq!(decode_option(number, &[0]), Err(OptionError::Malformed));
    }
    assert_eq!(decode_option(11, &[]), Err(OptionError::Unknown));
    for (_, decode) in DECODERS {
        for bytes in [&READ[..], &HEAD, &[&HEAD, META].concat()] {
            (0..=bytes.len()).for_each(|len| decode(&bytes[..len]));
        }
    }
}

#[test]
fn lengths_are_checked_before_anything_is_read() {
    let head = |len: u32| {
        let mut bytes = HEAD;
        bytes[12..].copy_from_slice(&len.to_be_bytes());
        decode_option_head(bytes)
    };
    assert!(head(64 << 10).is_ok());
    assert_eq!(head((64 << 10) + 1), Err(ProtocolError::OptionLen { found: (64 << 10) + 1 }));
    let request = |len: u32| {
        let mut bytes = READ;
        bytes[24..].copy_from_slice(&len.to_be_bytes());
        decode_request(bytes).expect("a request").check(&Terms { len: ByteLen::gib(8), ..TERMS })
    };
    assert!(request(32 << 20).is_ok());
    assert_eq!(request((32 << 20) + 1), Err(Errno::Invalid));
}
