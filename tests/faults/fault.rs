//! One fault: what it is called, how it is made, what must come of it, and the trying of it. Knows no product.

/// A row of the table.
pub(crate) struct Fault {
    /// `family: what fails`.
    pub(crate) name: String,
    /// How it is injected, in a few words.
    pub(crate) how: String,
    /// What must come of it.
    pub(crate) expected: String,
    /// Tries it.
    pub(crate) run: Box<dyn Fn(&mut Run) -> Outcome + Send + Sync>,
    /// It is not tried while others are.
    pub(crate) alone: bool,
}

/// Figures worth telling, if there are any; or in what way a promise did not hold.
pub(crate) type Outcome = Result<String, String>;

impl Fault {
    pub(crate) fn new(
        name: impl Into<String>,
        how: impl Into<String>,
        expected: impl Into<String>,
        run: impl Fn(&mut Run) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        let (name, how, expected) = (name.into(), how.into(), expected.into());
        Fault { name, how, expected, run: Box::new(run), alone: false }
    }

    /// Others would disturb what it measures.
    pub(crate) fn alone(self) -> Self {
        Fault { alone: true, ..self }
    }
}

/// What became of one.
pub(crate) enum Seen {
    Ok(String),
    Deviation(String),
}

/// One trying of a fault.
pub(crate) struct Run {
    long: bool,
    random: u64,
    tries: u64,
}

impl Run {
    pub(crate) fn new(long: bool, seed: u64) -> Self {
        Run { long, random: seed, tries: 0 }
    }

    /// A figure of the long form, or of the short one.
    pub(crate) fn of<T>(&self, long: T, short: T) -> T {
        if self.long { long } else { short }
    }

    /// Counts a try.
    pub(crate) fn tried(&mut self) {
        self.tries += 1;
    }

    pub(crate) fn tries(&self) -> u64 {
        self.tries
    }

    /// A number below this one, the same for the same seed (splitmix64, Steele et al. 2014).
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
