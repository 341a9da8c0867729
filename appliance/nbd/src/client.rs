//! One client, from its first byte to its last.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use link::{HandshakeCause, Role, identity_of};

use crate::negotiation::{Agreed, Negotiation, Next, Secrecy};
use crate::protocol::ProtocolError;
use crate::protocol::option::{OPTION_HEAD_LEN, OPTION_LEN_MAX, decode_client_flags, decode_option_head};
use crate::protocol::reply::greeting;
use crate::server::{Place, Shared};
use crate::socket::Socket;
use crate::stream::{Input, Output, start_tls};
use crate::transmission::Transmission;

/// Why a client never got to ask.
#[derive(Debug, thiserror::Error)]
enum NotAgreed {
    #[error("the connection failed")]
    Io(#[from] io::Error),
    #[error("the client is not understood")]
    Protocol(#[from] ProtocolError),
    #[error("the client's certificate is refused")]
    Peer(#[from] HandshakeCause),
}

/// Serves a client until it leaves, fails, or the server stops.
pub(crate) fn serve(place: &Place, socket: &Arc<Socket>) {
    let shared = &*place.shared;
    let deadline = Instant::now() + shared.limits.handshake;
    let mut input = Input::new(Arc::clone(socket), deadline);
    let mut output = Output::new(Arc::clone(socket));
    match agree(place, &mut input, &mut output) {
        Ok(Some(agreed)) => {
            tracing::info!(image = ?agreed.offer, "NBD client begins");
            Transmission::new(socket, input, output, &agreed, shared.limits.in_flight).run();
            tracing::info!(image = ?agreed.offer, "NBD client left");
        }
        Ok(None) => output.close(),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "NBD client refused");
            socket.shut_down();
        }
    }
}

/// Goes through the handshake; `None`: the client asked for nothing.
fn agree(place: &Place, input: &mut Input, output: &mut Output) -> Result<Option<Agreed>, NotAgreed> {
    let shared = &*place.shared;
    input.prepare(shared.limits.write_stall)?;
    output.send(&[&greeting()])?;
    let mut flags = [0; 4];
    input.read_exact(&mut flags)?;
    let no_zeroes = decode_client_flags(flags)?;
    let secrecy = if shared.tls.is_some() { Secrecy::TlsRequired } else { Secrecy::Local };
    let mut negotiation = Negotiation::new(shared.exports.clone(), secrecy, no_zeroes);
    loop {
        let mut head = [0; OPTION_HEAD_LEN];
        input.read_exact(&mut head)?;
        let head = decode_option_head(head)?;
        let mut answer = Vec::new();
        let next = if head.len > OPTION_LEN_MAX {
            input.skip(head.len as usize)?;
            negotiation.answer_too_big(head.number, &mut answer)
        } else {
            let mut data = vec![0; head.len as usize];
            input.read_exact(&mut data)?;
            negotiation.answer(head.number, &data, &mut answer)
        };
        if matches!(next, Next::Requests(_)) {
            // Before the client hears of it, so that it can rely on its place.
            place.keep();
        }
        output.send(&[&answer])?;
        match next {
            Next::Option => {}
            Next::StartTls => {
                encrypt(shared, input, output)?;
                negotiation = negotiation.encrypted();
            }
            Next::Requests(agreed) => {
                input.wait_for_ever()?;
                return Ok(Some(agreed));
            }
            Next::Close => return Ok(None),
        }
    }
}

fn encrypt(shared: &Shared, input: &mut Input, output: &mut Output) -> Result<(), NotAgreed> {
    let config = shared.tls.as_ref().expect("TLS is begun where it is offered");
    let certificate = start_tls(input, output, config)?;
    let peer = identity_of(&certificate)?;
    // The verifier has looked already: this pairs with it.
    assert_eq!(peer.role, Role::Operator, "nobody else gets through the handshake");
    tracing::info!(operator = %peer.name, "NBD client is known");
    Ok(())
}
