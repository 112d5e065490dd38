//! Manual pages and shell completions say what the programs' arguments are.
//!
//! `RTCROOM_UPDATE=1 cargo test --test manuals` writes them anew.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

fn programs() -> Vec<Command> {
    let mut programs = Vec::new();
    #[cfg(feature = "kiosk")]
    {
        programs.push(rtcroom_kiosk::kiosk::arguments::Arguments::command());
        programs.push(rtcroom_kiosk::media::arguments::Arguments::command());
    }
    #[cfg(feature = "roomservice")]
    programs.push(rtcroom_kiosk::service::arguments::Arguments::command());
    programs
}

/// What the folders `boards/man` and `boards/completions` should hold.
fn wanted() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for program in programs() {
        let name = program.get_name().to_owned();
        let mut built = program.clone().disable_help_subcommand(true);
        built.build();
        page(&built, &name, &mut files);
        for command in built.get_subcommands().filter(|command| !command.is_hide_set()) {
            page(command, &format!("{name}-{}", command.get_name()), &mut files);
        }
        for (shell, file) in [
            (Shell::Bash, format!("{name}.bash")),
            (Shell::Zsh, format!("_{name}")),
            (Shell::Fish, format!("{name}.fish")),
        ] {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut program.clone(), &name, &mut text);
            files.insert(format!("boards/completions/{file}"), text);
        }
    }
    files
}

fn page(command: &Command, title: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).title(title).render(&mut text).unwrap();
    files.insert(format!("boards/man/{title}.1"), text);
}

#[test]
fn manual_pages_and_completions_are_those_of_the_arguments() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (file, text) in wanted() {
        let path = root.join(&file);
        if env::var_os("RTCROOM_UPDATE").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let there = fs::read(&path).unwrap_or_default();
        assert!(
            there == text,
            "{file} is not what the arguments of the programs say: RTCROOM_UPDATE=1 cargo test --test manuals"
        );
    }
}

#[test]
fn each_file_below_systemd_is_in_exactly_one_package() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lists = ["rtcroom-kiosk", "rtcroom-roomservice"]
        .map(|package| fs::read_to_string(root.join(format!("boards/deb/{package}.files"))).unwrap())
        .join("");
    let sources: Vec<&str> = lists
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let mut folders = vec![root.join("systemd")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let listed = sources.iter().filter(|source| matches(source, &name)).count();
            assert_eq!(listed, 1, "{name} is in {listed} of the lists boards/deb/*.files");
        }
    }
}

/// Whether `name` is what `pattern` says, with at most one `*` in it.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((before, after)) => {
            name.len() >= before.len() + after.len()
                && name.starts_with(before)
                && name.ends_with(after)
                && !name[before.len()..name.len() - after.len()].contains('/')
        }
        None => pattern == name,
    }
}
