//! The known words, and a guess at the one that an unknown word means.

pub(crate) const WORDS: [&str; 11] = [
    "crate", "csrf", "fresh", "lock", "purge", "quiet", "readonly", "redirect", "renew", "require",
    "sessions",
];

/// Names that are used elsewhere, with the word that they stand for.
const ELSEWHERE: [(&str, &str); 10] = [
    ("auth", "require"),
    ("clear", "purge"),
    ("destroy", "purge"),
    ("login", "require"),
    ("logout", "purge"),
    ("polling", "quiet"),
    ("regenerate", "renew"),
    ("realm", "sessions"),
    ("service", "sessions"),
    ("user", "require"),
];

/// The largest number of wrong letters for which a word is still guessed.
const MOST_WRONG: usize = 2;
/// The shortest length, in bytes, for which a word is guessed by its letters.
const FEWEST: usize = 4;

/// Returns the known word that is most likely meant.
pub(crate) fn meant(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase().replace('_', "");
    if let Some(&(_, ours)) = ELSEWHERE.iter().find(|(theirs, _)| *theirs == word) {
        return Some(ours);
    }
    if word.len() < FEWEST {
        return None;
    }
    let begins = |ours: &&&str| ours.starts_with(&word) || word.starts_with(**ours);
    if let Some(ours) = WORDS.iter().find(begins) {
        return Some(ours);
    }
    let nearest = WORDS.iter().min_by_key(|ours| distance(&word, ours))?;
    (distance(&word, nearest) <= MOST_WRONG).then_some(nearest)
}

/// Returns how many letters have to be inserted, removed or replaced (Levenshtein distance).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (above, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (place, b) in other.chars().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[place + 1];
            row[place + 1] = replaced.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row[other.chars().count()]
}

#[cfg(test)]
mod tests {
    use super::{WORDS, distance, meant};

    #[test]
    fn a_word_is_known_by_its_letters_or_from_elsewhere() {
        for (word, ours) in [
            ("requires", "require"),
            ("required", "require"),
            ("read_only", "readonly"),
            ("purge_all", "purge"),
            ("locked", "lock"),
            ("csfr", "csrf"),
            ("CSRF", "csrf"),
            ("csrf_token", "csrf"),
            ("redirect_to", "redirect"),
            ("refresh", "fresh"),
            ("user", "require"),
            ("clear", "purge"),
        ] {
            assert_eq!(meant(word), Some(ours), "{word}");
        }
        for word in ["all", "at", "timeout", "secure", "name", "ro", "äöü"] {
            assert_eq!(meant(word), None, "{word}");
        }
        for word in WORDS {
            assert_eq!(meant(word), Some(word));
        }
    }

    #[test]
    fn a_distance_is_of_letters() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
