//! What is known of kinds of APIs already: files that are part of the program.

/// A preset as it is shipped.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// What the pipeline file calls it.
    pub name: &'static str,
    /// The file.
    pub text: &'static str,
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        [$(Preset { name: $name, text: include_str!(concat!("presets/", $name, ".yaml")) }),*]
    };
}

/// All that are shipped, by name.
pub const PRESETS: &[Preset] = &shipped![
    "carddav",
    "dynamics",
    "github",
    "nws",
    "odata",
    "open-meteo",
    "salesforce",
    "sharepoint-graph",
    "sharepoint-list",
    "x",
];
