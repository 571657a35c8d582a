//! Objects by id that are found by name, too, however many there are.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// Something with a name.
pub trait Name {
    /// Its name. It stays the same as long as the object is there.
    fn name(&self) -> &str;
}

/// Objects by id; several may have one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, T>", into = "BTreeMap<String, T>")]
#[serde(bound(serialize = "T: Clone + Serialize", deserialize = "T: Name + Deserialize<'de>"))]
pub struct Named<T> {
    objects: BTreeMap<String, T>,
    /// The ids of each name.
    names: BTreeSet<(String, String)>,
}

impl<T: Name> Named<T> {
    /// The objects of a name, with their ids.
    pub fn named(&self, name: &str) -> impl Iterator<Item = (&String, &T)> {
        let ids = self.names.range((name.to_owned(), String::new())..).take_while(move |(other, _)| other == name);
        ids.filter_map(|(_, id)| self.objects.get_key_value(id))
    }

    /// Adds one, or puts it in the place of that of its id.
    pub fn insert(&mut self, id: String, object: T) {
        self.remove(&id);
        self.names.insert((object.name().to_owned(), id.clone()));
        self.objects.insert(id, object);
    }

    /// Takes one out.
    pub fn remove(&mut self, id: &str) -> Option<T> {
        let object = self.objects.remove(id)?;
        self.names.remove(&(object.name().to_owned(), id.to_owned()));
        Some(object)
    }

    /// Takes out all but those that are to stay.
    pub fn retain(&mut self, mut stays: impl FnMut(&String, &T) -> bool) {
        let goes = self.objects.iter().filter(|(id, object)| !stays(id, object));
        let goes: Vec<String> = goes.map(|(id, _)| id.clone()).collect();
        for id in goes {
            self.remove(&id);
        }
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// One, to be changed.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.objects.get_mut(id)
    }

    /// All, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.objects.values_mut()
    }
}

impl<T> Deref for Named<T> {
    type Target = BTreeMap<String, T>;
    fn deref(&self) -> &Self::Target {
        &self.objects
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), names: BTreeSet::new() }
    }
}

impl<T: Name> From<BTreeMap<String, T>> for Named<T> {
    fn from(objects: BTreeMap<String, T>) -> Self {
        let mut named = Self::default();
        named.extend(objects);
        named
    }
}

impl<T> From<Named<T>> for BTreeMap<String, T> {
    fn from(named: Named<T>) -> Self {
        named.objects
    }
}

impl<T: Name> Extend<(String, T)> for Named<T> {
    fn extend<I: IntoIterator<Item = (String, T)>>(&mut self, objects: I) {
        for (id, object) in objects {
            self.insert(id, object);
        }
    }
}

impl<T> IntoIterator for Named<T> {
    type Item = (String, T);
    type IntoIter = btree_map::IntoIter<String, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.objects.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Named<T> {
    type Item = (&'a String, &'a T);
    type IntoIter = btree_map::Iter<'a, String, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.objects.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Name for &'static str {
        fn name(&self) -> &str {
            self
        }
    }

    #[test]
    fn a_name_finds_what_is_there_and_nothing_else() {
        let mut objects = Named::default();
        objects
            .extend([("1", "one"), ("2", "two"), ("3", "two"), ("4", "twofold")].map(|(id, it)| (id.to_owned(), it)));
        let ids =
            |objects: &Named<_>, name| objects.named(name).map(|(id, _)| id.clone()).collect::<Vec<_>>().join(" ");
        assert_eq!(ids(&objects, "two"), "2 3");
        assert_eq!(ids(&objects, "tw"), "");
        objects.insert("1".to_owned(), "two");
        assert_eq!((ids(&objects, "one"), ids(&objects, "two")), (String::new(), "1 2 3".to_owned()));
        objects.retain(|id, _| id != "2");
        objects.remove("1");
        assert_eq!(ids(&objects, "two"), "3");
        objects.clear();
        assert_eq!((ids(&objects, "two"), objects.len()), (String::new(), 0));
    }
}
