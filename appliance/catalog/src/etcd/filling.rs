//! A catalog made of a snapshot, in a cluster that holds none.

use inventory::Revision;

use super::client::Client;
use super::layout::{FORM, FORM_KEY, Form, Layout, encode_value, place_of, span_of};
use super::message::{Bytes, Compare, Delete, Number, Operation, Put, Range, Ranged, Transacted, Txn};
use super::{RANGE, TXN, failed};
use crate::{COMMIT_LEN_MAX, CatalogError, Entry};

/// Records put at once.
const AT_ONCE_MAX: usize = 100;

/// Puts records into a cluster that holds none, or that an earlier attempt has not filled; its catalog stands behind `revision` then.
///
/// In order: 1. the cluster says that it is being filled, so that nobody takes it for a catalog; 2. what an earlier attempt has left
/// goes; 3. the records; 4. the cluster says that it is filled, and from where revisions count. After a crash in between it is no
/// catalog, and is filled anew.
pub(super) fn fill(
    client: &Client,
    layout: &Layout,
    records: &[Entry],
    revision: Revision,
    instance: &str,
) -> Result<(), CatalogError> {
    let (known, at) = form(client, layout)?;
    let filling = Form { form: FORM, base: revision.0, filled_by: Some(instance.to_owned()) };
    let is_unfinished = known.is_some_and(|known| known.filled_by.is_some());
    if !is_unfinished && !is_empty(client, layout)? {
        return Err(CatalogError::NotEmpty { place: layout.place.clone() });
    }
    let mut at = swap_form(client, layout, at, &filling, Vec::new())?;
    let (key, range_end) = span_of("");
    let clear = Operation::Delete(Delete { key, range_end });
    at = swap_form(client, layout, at, &filling, vec![clear])?;
    let mut rest = records;
    while !rest.is_empty() {
        let (some, behind) = rest.split_at(that_fit(rest));
        at = swap_form(client, layout, at, &filling, some.iter().map(put).collect())?;
        rest = behind;
    }
    let filled = Form { filled_by: None, ..filling };
    swap_form(client, layout, at, &filled, Vec::new()).map(drop)
}

/// Returns what the cluster says of its form, and the revision at which it came to say so.
pub(super) fn form(client: &Client, layout: &Layout) -> Result<(Option<Form>, i64), CatalogError> {
    let range = Range { key: Bytes::from(FORM_KEY), ..Range::default() };
    let found: Ranged = client.ask(RANGE, &range).map_err(failed(layout))?;
    let Some(kept) = found.kvs.first() else { return Ok((None, 0)) };
    let form: Form = serde_json::from_slice(&kept.value.0)
        .map_err(|_| layout.damaged(format!("what stands under {FORM_KEY} can't be read")))?;
    if form.form > FORM {
        return Err(CatalogError::Newer { place: layout.place.clone(), found: form.form, known: FORM });
    }
    Ok((Some(form), kept.mod_revision.0))
}

/// Makes the form what it is now, if it was last changed at this revision, and carries out what goes with that. Returns the revision
/// of the change. It may be asked for several times over: the same change again is known by what it has left.
pub(super) fn swap_form(
    client: &Client,
    layout: &Layout,
    at: i64,
    form: &Form,
    with: Vec<Operation>,
) -> Result<i64, CatalogError> {
    let key = Bytes::from(FORM_KEY);
    let value = serde_json::to_vec(form).expect("a form is text and numbers");
    let mut success = with;
    success.push(Operation::Put(Put { key: key.clone(), value: Bytes(value.clone()), lease: Number(0) }));
    let failure = vec![Operation::Range(Range { key: key.clone(), ..Range::default() })];
    let txn = Txn { compare: vec![Compare::modified(key, at)], success, failure };
    let answer: Transacted = client.ask(TXN, &txn).map_err(failed(layout))?;
    if answer.succeeded {
        return Ok(answer.header.revision.0);
    }
    match answer.found().next().flatten() {
        // Nobody else writes this very text: it is our own change, the answer to which was lost.
        Some(kept) if kept.value.0 == value => Ok(kept.mod_revision.0),
        _ => Err(CatalogError::NotEmpty { place: layout.place.clone() }),
    }
}

fn is_empty(client: &Client, layout: &Layout) -> Result<bool, CatalogError> {
    let (key, range_end) = span_of("");
    let range = Range { key, range_end, count_only: true, ..Range::default() };
    let found: Ranged = client.ask(RANGE, &range).map_err(failed(layout))?;
    Ok(found.count == Number(0))
}

/// Returns how many of the first records one transaction takes.
fn that_fit(records: &[Entry]) -> usize {
    let (mut count, mut len) = (0, 0);
    for record in records.iter().take(AT_ONCE_MAX) {
        len += record.key.as_str().len() + record.value.len();
        if len > COMMIT_LEN_MAX && count > 0 {
            break;
        }
        count += 1;
    }
    count
}

fn put(record: &Entry) -> Operation {
    let value = encode_value(&record.key, 0, &record.value);
    Operation::Put(Put { key: place_of(&record.key), value, lease: Number(0) })
}
