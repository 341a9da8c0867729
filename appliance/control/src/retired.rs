//! The numbers that operators know from the retired product, and the codes of ours that mean the same.

use crate::code::Code;

/// Each number with the code that says the same. Numbers without a counterpart are not here.
pub const RETIRED: &[(u32, Code)] = &[
    // The datastore can't be reached from the host.
    (8061, Code::TargetDisk),
    // A machine of this name is there already.
    (78052, Code::MachineExists),
    // The machine does not run, hangs, or can't be reached.
    (78093, Code::SourceSilent),
    // The machine in the cloud does not reach the configuration server.
    (95226, Code::SourceSilent),
];

/// Returns the numbers of the retired product for a code.
pub fn retired_of(code: Code) -> Vec<u32> {
    RETIRED.iter().filter(|(_, ours)| *ours == code).map(|(number, _)| *number).collect()
}

/// Finds a code by a number of the retired product.
pub fn find_retired(text: &str) -> Option<Code> {
    let number: u32 = text.trim().parse().ok()?;
    RETIRED.iter().find(|(retired, _)| *retired == number).map(|(_, code)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_number_leads_to_one_code_and_a_code_back_to_its_numbers() {
        assert!(RETIRED.windows(2).all(|pair| pair[0].0 < pair[1].0), "sorted and given once");
        for (number, code) in RETIRED {
            assert_eq!(find_retired(&number.to_string()), Some(*code));
            assert!(retired_of(*code).contains(number));
        }
        assert_eq!(retired_of(Code::SourceSilent), [78093, 95226]);
        assert_eq!((find_retired("1"), find_retired("x")), (None, None));
    }
}
