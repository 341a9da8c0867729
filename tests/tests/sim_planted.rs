//! Mistakes planted in the replica: the simulator catches each, or it proves nothing.

#[path = "../sim/mod.rs"]
mod sim;

#[test]
fn every_planted_mistake_is_caught() {
    let mut missed = Vec::new();
    for mistake in sim::planted::ALL {
        match sim::planted::caught_by(mistake) {
            Some((part, check)) => {
                println!("{mistake:?}: caught by {part}: {}", check.lines().next().unwrap_or(""))
            }
            None => missed.push(mistake),
        }
    }
    assert_eq!(missed, [], "mistakes that nothing caught");
}
