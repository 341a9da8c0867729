//! Values as a person writes them into one field: addresses and names, separated by commas or blanks.

use std::net::IpAddr;

use crate::names::{ParseNameError, refuse};

/// Reads a list; nothing is an empty one. Errors: the first value that can't be read.
pub fn read_list<T, E>(text: &str, read: impl Fn(&str) -> Result<T, E>) -> Result<Vec<T>, E> {
    text.split([',', ' ']).filter(|part| !part.is_empty()).map(read).collect()
}

/// Reads an address of a host. Errors: it is none.
pub fn read_address(text: &str) -> Result<IpAddr, ParseNameError> {
    text.parse().or_else(|_| refuse(text, "an address, as in 192.0.2.1 or 2001:db8::1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_however_they_are_separated_and_the_first_fault_is_named() {
        let read = |text: &str| read_list(text, read_address);
        assert_eq!(read(" , ").map(|list| list.len()), Ok(0));
        assert_eq!(read("192.0.2.1,2001:db8::1  192.0.2.2").map(|list| list.len()), Ok(3));
        let error = read("192.0.2.1, x, y").expect_err("two are none").to_string();
        assert_eq!(error, "\"x\" is not an address, as in 192.0.2.1 or 2001:db8::1");
    }
}
