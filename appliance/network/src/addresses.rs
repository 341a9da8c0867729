//! Which addresses interfaces have, as the kernel tells over rtnetlink (`man 7 rtnetlink`).

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netplan::Cidr;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::set_socket_timeout;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

/// Numbers of `linux/netlink.h` and `linux/rtnetlink.h`.
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const REQUEST_DUMP: u16 = 0x0301;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const HEADER_LEN: usize = 16;
const BODY_LEN: usize = 8;
/// Bytes the kernel puts into one answer at most.
const ANSWER_LEN_MAX: usize = 64 << 10;
/// Answers one question may have.
const ANSWERS_MAX: usize = 64;
/// How long the kernel may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

/// Lists the addresses of every interface by the interface's number, without those of the link alone and of the loop. Errors: the kernel
/// does not answer.
pub fn list_addresses() -> io::Result<BTreeMap<u32, Vec<Cidr>>> {
    // No protocol named is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, rustix::net::sockopt::Timeout::Recv, Some(PATIENCE))?;
    let mut question = Vec::with_capacity(HEADER_LEN + BODY_LEN);
    question.extend(((HEADER_LEN + BODY_LEN) as u32).to_ne_bytes());
    question.extend(RTM_GETADDR.to_ne_bytes());
    question.extend(REQUEST_DUMP.to_ne_bytes());
    question.resize(HEADER_LEN + BODY_LEN, 0);
    sendto(&socket, &question, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let (mut found, mut buffer) = (BTreeMap::new(), vec![0; ANSWER_LEN_MAX]);
    for _ in 0..ANSWERS_MAX {
        let (len, _) = recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        if read_answer(&buffer[..len], &mut found) {
            return Ok(found);
        }
    }
    Err(io::Error::other("the kernel's answer has no end"))
}

/// Reads the messages of an answer. Returns whether it was the last.
fn read_answer(mut rest: &[u8], found: &mut BTreeMap<u32, Vec<Cidr>>) -> bool {
    while let Some(header) = rest.get(..HEADER_LEN) {
        let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let Some(message) = rest.get(..len).filter(|_| len >= HEADER_LEN) else { return true };
        match u16::from_ne_bytes([header[4], header[5]]) {
            NLMSG_DONE | NLMSG_ERROR => return true,
            RTM_NEWADDR => read_address(&message[HEADER_LEN..], found),
            _ => {}
        }
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

fn read_address(body: &[u8], found: &mut BTreeMap<u32, Vec<Cidr>>) {
    let Some(head) = body.get(..BODY_LEN) else { return };
    let (prefix, index) = (head[1], u32::from_ne_bytes([head[4], head[5], head[6], head[7]]));
    let (mut rest, mut address, mut local) = (&body[BODY_LEN..], None, None);
    while let Some(head) = rest.get(..4) {
        let len = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let Some(value) = rest.get(4..len) else { break };
        match u16::from_ne_bytes([head[2], head[3]]) {
            IFA_ADDRESS => address = ip(value),
            IFA_LOCAL => local = ip(value),
            _ => {}
        }
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    // Where an interface has a peer, its own address is the local one.
    let Some(own) = local.or(address) else { return };
    let of_the_link = matches!(own, IpAddr::V6(own) if own.is_unicast_link_local());
    if let Some(cidr) = Cidr::new(own, prefix).filter(|_| !own.is_loopback() && !of_the_link) {
        found.entry(index).or_default().push(cidr);
    }
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers_and_garbage_does_not_panic() {
        assert!(
            list_addresses()
                .expect("rtnetlink is there")
                .values()
                .flatten()
                .all(|own| !own.address().is_loopback())
        );
        let mut message = Vec::new();
        message.extend(44_u32.to_ne_bytes());
        message.extend(RTM_NEWADDR.to_ne_bytes());
        message.resize(HEADER_LEN, 0);
        message.extend([2, 24, 0, 0, 7, 0, 0, 0]);
        message.extend([8, 0, 1, 0, 192, 0, 2, 1, 8, 0, 2, 0, 192, 0, 2, 9, 4, 0, 3, 0]);
        let mut found = BTreeMap::new();
        assert!(!read_answer(&message, &mut found));
        assert_eq!(found[&7], ["192.0.2.9/24".parse().expect("written here")]);
        for at in 0..message.len() * 8 {
            let mut flipped = message.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            read_answer(&flipped, &mut found);
            read_answer(&message[..at / 8], &mut found);
        }
    }
}
