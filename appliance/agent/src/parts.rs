//! An outcome and its reply, cut into messages.

use wire::heartbeat::{CommandId, Outcome, REPLY_PART_LEN_MAX, REPLY_PARTS_MAX, Verdict};

/// The longest reply that can be sent.
pub(crate) const REPLY_LEN_MAX: usize = REPLY_PART_LEN_MAX * REPLY_PARTS_MAX as usize;

/// What became of one command, as it is to be told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) sequence: u64,
    pub(crate) id: CommandId,
    pub(crate) verdict: Verdict,
    pub(crate) reply: Vec<u8>,
}

impl Told {
    /// Returns the messages and what is behind each; one at least.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (Outcome, &[u8])> {
        assert!(self.reply.len() <= REPLY_LEN_MAX, "a longer reply was refused when it was made");
        let count = self.reply.len().div_ceil(REPLY_PART_LEN_MAX).max(1);
        (0..count).map(move |part| {
            let end = self.reply.len().min((part + 1) * REPLY_PART_LEN_MAX);
            let outcome = Outcome {
                sequence: self.sequence,
                id: self.id,
                part: u16::try_from(part).expect("a reply has few parts"),
                last: part + 1 == count,
                verdict: self.verdict.clone(),
            };
            (outcome, &self.reply[part * REPLY_PART_LEN_MAX..end])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::heartbeat::Answer;

    fn told(len: usize) -> Told {
        let verdict = Verdict::Done(Answer::Reply);
        Told { sequence: 1, id: CommandId([1; 16]), verdict, reply: (0..len).map(|at| at as u8).collect() }
    }

    #[test]
    fn a_reply_is_cut_without_a_rest_and_only_the_last_part_says_so() {
        for (len, count) in
            [(0, 1), (1, 1), (REPLY_PART_LEN_MAX, 1), (REPLY_PART_LEN_MAX + 1, 2), (REPLY_LEN_MAX, 64)]
        {
            let told = told(len);
            let parts: Vec<_> = told.parts().collect();
            assert_eq!(parts.len(), count);
            assert!(parts.iter().enumerate().all(|(at, (outcome, _))| usize::from(outcome.part) == at));
            assert!(parts.iter().rev().enumerate().all(|(at, (outcome, _))| outcome.last == (at == 0)));
            assert_eq!(
                parts.iter().flat_map(|(_, part)| part.iter().copied()).collect::<Vec<_>>(),
                told.reply
            );
        }
    }
}
