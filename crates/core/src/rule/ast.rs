//! The checked form of a rule: what the evaluator walks.
//!
//! Chains of one operator are one flat node, and everything else that nests is counted by the parser (see
//! [`super::parser::DEPTH`]), so walking and dropping a tree needs little stack whatever its author writes.

use std::sync::Arc;

use super::pattern::Pattern;
use crate::OutputId;

/// An expression.
#[derive(Debug)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(f64),
    Text(Box<str>),
    /// A run's output; null if the run has none.
    Output(OutputId),
    /// The variable of the comprehension around it (there is at most one).
    Item,
    List(Box<[Node]>),
    /// `&&`: at least two operands, each true or false.
    All(Box<[Node]>),
    /// `||`: at least two operands, each true or false.
    Any(Box<[Node]>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Equal(Box<[Node; 2]>),
    Order(Order, Box<[Node; 2]>),
    /// The left is an element of the right, a list.
    In(Box<[Node; 2]>),
    Matches(Box<Node>, Arc<Pattern>),
    /// Operators of equal rank from left to right.
    Arithmetic(Box<Node>, Box<[(Arithmetic, Node)]>),
    /// Condition, then, else.
    Choice(Box<[Node; 3]>),
    /// List and position.
    Index(Box<[Node; 2]>),
    Call(Function, Box<[Node]>),
    /// List, and what is said of each element.
    Each(Each, Box<[Node; 2]>),
}

/// `<` and its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Operators on numbers; [`Arithmetic::Add`] joins texts, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// Functions. The first argument of a method is its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Whole,
    Number,
    Text,
    Contains,
    StartsWith,
    EndsWith,
}

/// Comprehensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Each {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

impl Each {
    /// The comprehension with this name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "all" => Some(Self::All),
            "exists" => Some(Self::Exists),
            "exists_one" => Some(Self::ExistsOne),
            "filter" => Some(Self::Filter),
            "map" => Some(Self::Map),
            _ => None,
        }
    }
}
