//! Enrolment and renewal on 443: one question, one answer, within 16 KiB and five seconds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use wire::{
    ALPN_ENROL, ALPN_RENEW, EXPORTER_LABEL, EnrolAnswer, EnrolAsk, EnrolRefusal, EnrolRefused, Join, Renew,
    RevokedAsk, decode_ask, encode_answer, enrol_body_len,
};

use crate::gate::{Gate, GateError, Peer, Protocol, Reception, Serving, Stream};

/// How long a guest may stay.
const GUEST_TIME: Duration = Duration::from_secs(5);
/// How long one question of a peer and its answer may take.
const ASK_TIME: Duration = Duration::from_secs(5);
/// Questions on one connection of a peer.
const ASKS_MAX: usize = 1000;

/// Gives out certificates. Calls may block.
pub trait Enrolment: Send + Sync {
    /// Answers a guest; `exporter` is what the proof is bound to.
    fn join(&self, join: &Join, exporter: &[u8; 32], from: SocketAddr) -> EnrolAnswer;

    /// Answers a peer that has shown this certificate (in DER) and wants the next.
    fn renew(&self, peer: &Peer, shown: &[u8], renew: &Renew) -> EnrolAnswer;

    /// Tells whose certificates no longer count.
    fn revoked(&self, ask: &RevokedAsk) -> EnrolAnswer;
}

impl Gate {
    /// Serves enrolment to guests, and renewal to everybody with a certificate that may renew.
    ///
    /// # Errors
    /// [`GateError::Credentials`].
    pub fn with_enrolment(self, enrolment: Arc<dyn Enrolment>) -> Result<Self, GateError> {
        let desk = Arc::new(Desk(enrolment));
        let renewing = inventory::roles_for(inventory::Action::Renew);
        self.with_reception(ALPN_ENROL, Arc::clone(&desk) as _)?.with(ALPN_RENEW, &renewing, desk)
    }
}

/// Reads questions and writes answers.
struct Desk(Arc<dyn Enrolment>);

impl Reception for Desk {
    fn serve(&self, from: SocketAddr, mut stream: Stream) -> Serving {
        let enrolment = Arc::clone(&self.0);
        Box::pin(async move {
            let asked = timeout(GUEST_TIME, async {
                let answer = match read(&mut stream).await? {
                    Some(EnrolAsk::Join(join)) => join_answer(enrolment, join, from, &stream).await,
                    Some(_) => unexpected("without a certificate one can only join"),
                    None => malformed(),
                };
                write(&mut stream, &answer).await
            });
            if !matches!(asked.await, Ok(Ok(()))) {
                tracing::info!(%from, "a guest left unanswered, or had too little to say in time");
            }
        })
    }
}

impl Protocol for Desk {
    fn serve(&self, peer: Peer, mut stream: Stream) -> Serving {
        let enrolment = Arc::clone(&self.0);
        Box::pin(async move {
            for _ in 0..ASKS_MAX {
                match timeout(ASK_TIME, answer_peer(&enrolment, &peer, &mut stream)).await {
                    Ok(Ok(())) => {}
                    // It is gone, or silent.
                    _ => return,
                }
            }
        })
    }
}

async fn answer_peer(
    enrolment: &Arc<dyn Enrolment>,
    peer: &Peer,
    stream: &mut Stream,
) -> std::io::Result<()> {
    let answer = match read(stream).await? {
        Some(EnrolAsk::Renew(renew)) => {
            let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let shown = shown.expect("a peer has shown a certificate").to_vec();
            let (enrolment, peer) = (Arc::clone(enrolment), peer.clone());
            beside(move || enrolment.renew(&peer, &shown, &renew)).await
        }
        Some(EnrolAsk::Revoked(ask)) => {
            let enrolment = Arc::clone(enrolment);
            beside(move || enrolment.revoked(&ask)).await
        }
        Some(EnrolAsk::Join(_)) => unexpected("to join, come without a certificate"),
        None => malformed(),
    };
    write(stream, &answer).await
}

async fn join_answer(
    enrolment: Arc<dyn Enrolment>,
    join: Box<Join>,
    from: SocketAddr,
    stream: &Stream,
) -> EnrolAnswer {
    match stream.get_ref().1.export_keying_material([0; 32], EXPORTER_LABEL, None) {
        Ok(exporter) => beside(move || enrolment.join(&join, &exporter, from)).await,
        Err(_) => refused(EnrolRefusal::Failed, "the connection can't be told from others"),
    }
}

/// Answers on a thread that may block. A panic there is this peer's failure and nobody else's.
async fn beside(answer: impl FnOnce() -> EnrolAnswer + Send + 'static) -> EnrolAnswer {
    tokio::task::spawn_blocking(answer).await.unwrap_or_else(|error| {
        tracing::error!(%error, "enrolment panicked");
        refused(EnrolRefusal::Failed, "the server met a mistake of its own")
    })
}

/// Reads one question; none, if what came is not one.
async fn read(stream: &mut Stream) -> std::io::Result<Option<EnrolAsk>> {
    let mut prefix = [0; 2];
    stream.read_exact(&mut prefix).await?;
    let Ok(len) = enrol_body_len(prefix) else { return Ok(None) };
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await?;
    Ok(decode_ask(&body).ok())
}

async fn write(stream: &mut Stream, answer: &EnrolAnswer) -> std::io::Result<()> {
    stream.write_all(&encode_answer(answer)).await?;
    stream.flush().await
}

fn malformed() -> EnrolAnswer {
    unexpected("this is not a question of landfall-enrol/1")
}

fn unexpected(detail: &str) -> EnrolAnswer {
    refused(EnrolRefusal::Unexpected, detail)
}

fn refused(code: EnrolRefusal, detail: &str) -> EnrolAnswer {
    EnrolAnswer::Refused(Box::new(EnrolRefused::new(code, detail)))
}
