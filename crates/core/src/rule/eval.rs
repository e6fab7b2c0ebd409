//! Walks a checked tree over one run's outputs.
//!
//! Meaning, where CEL and the reference leave room or differ:
//! - There is one kind of number, a 64-bit float, as in the reference: `status / 100` of 204 is 2.04.
//! - An absent output is null. `==` and `in` can see that; an ordering, `=~`, `contains` and their like are false for null
//!   (so their negations are true); arithmetic, `size` and conversions of null are null.
//! - Values of different kinds are unequal. Ordering them, or searching in a number, is a fault. As in CEL a fault does not
//!   matter beside `true ||` or `false &&`, on either side.

use std::borrow::Cow;
use std::cell::Cell;
use std::cmp::Ordering;

use super::RuleFault;
use super::ast::{Arithmetic, Each, Function, Node, Order};
use crate::monitor::limits;
use crate::outcome::Outcome;
use crate::{OutputId, OutputValue};

/// Bytes of text that one evaluation may look at: 16 full bodies, which takes a regular expression about 40 ms.
const TEXT_BYTES: usize = 16 * limits::BODY_BYTES;

/// Bytes of text that one evaluation may make by joining; `map` could double a text again and again.
const MADE_BYTES: usize = 1024 * 1024;

/// Evaluates a whole rule.
pub(super) fn holds(rule: &Node, outcome: &Outcome) -> Result<bool, RuleFault> {
    Run { outcome, text_bytes: Cell::new(TEXT_BYTES), made_bytes: Cell::new(MADE_BYTES) }.truth(rule, None)
}

#[derive(Debug, Clone, PartialEq)]
enum Value<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
}

struct Run<'a> {
    outcome: &'a Outcome,
    /// What is left of [`TEXT_BYTES`].
    text_bytes: Cell<usize>,
    /// What is left of [`MADE_BYTES`].
    made_bytes: Cell<usize>,
}

impl<'a> Run<'a> {
    /// Pays for looking at so many bytes.
    fn pay(&self, bytes: usize) -> Result<(), RuleFault> {
        let left = self.text_bytes.get().checked_sub(bytes).ok_or(RuleFault::Timeout)?;
        self.text_bytes.set(left);
        Ok(())
    }

    /// Pays for making so many bytes.
    fn pay_made(&self, bytes: usize) -> Result<(), RuleFault> {
        let left = self.made_bytes.get().checked_sub(bytes).ok_or(RuleFault::Timeout)?;
        self.made_bytes.set(left);
        Ok(())
    }

    fn truth(&self, node: &'a Node, item: Option<&Value<'a>>) -> Result<bool, RuleFault> {
        match self.value(node, item)? {
            Value::Bool(truth) => Ok(truth),
            Value::Null | Value::Number(_) | Value::Text(_) | Value::List(_) => Err(RuleFault::Error),
        }
    }

    fn value(&self, node: &'a Node, item: Option<&Value<'a>>) -> Result<Value<'a>, RuleFault> {
        Ok(match node {
            Node::Null => Value::Null,
            Node::Bool(truth) => Value::Bool(*truth),
            Node::Number(number) => Value::Number(*number),
            Node::Text(text) => Value::Text(Cow::Borrowed(text)),
            Node::Output(id) => self.output(*id),
            Node::Item => self.item(item)?,
            Node::List(items) => {
                let items: Result<_, _> = items.iter().map(|node| self.value(node, item)).collect();
                Value::List(items?)
            }
            Node::All(operands) => Value::Bool(!self.is_any(operands, false, item)?),
            Node::Any(operands) => Value::Bool(self.is_any(operands, true, item)?),
            Node::Not(operand) => Value::Bool(!self.truth(operand, item)?),
            Node::Negate(operand) => match self.value(operand, item)? {
                Value::Number(number) => Value::Number(-number),
                Value::Null => Value::Null,
                Value::Bool(_) | Value::Text(_) | Value::List(_) => return Err(RuleFault::Error),
            },
            Node::Equal(sides) => {
                let [left, right] = &**sides;
                Value::Bool(self.is_equal(&self.value(left, item)?, &self.value(right, item)?)?)
            }
            Node::Order(order, sides) => {
                let [left, right] = &**sides;
                Value::Bool(self.is_ordered(*order, &self.value(left, item)?, &self.value(right, item)?)?)
            }
            Node::In(sides) => {
                let [value, list] = &**sides;
                Value::Bool(self.is_in(value, list, item)?)
            }
            Node::Matches(text, pattern) => match self.value(text, item)? {
                Value::Null => Value::Bool(false),
                Value::Text(text) => {
                    self.pay(text.len())?;
                    Value::Bool(pattern.is_match(&text).map_err(|_| RuleFault::Timeout)?)
                }
                Value::Bool(_) | Value::Number(_) | Value::List(_) => return Err(RuleFault::Error),
            },
            Node::Arithmetic(first, rest) => {
                let mut value = self.value(first, item)?;
                for (operator, right) in rest {
                    value = self.arithmetic(*operator, value, self.value(right, item)?)?;
                }
                value
            }
            Node::Choice(parts) => {
                let [condition, then, otherwise] = &**parts;
                self.value(if self.truth(condition, item)? { then } else { otherwise }, item)?
            }
            Node::Index(sides) => {
                let [list, position] = &**sides;
                let Value::List(mut items) = self.value(list, item)? else {
                    return Err(RuleFault::Error);
                };
                let Value::Number(position) = self.value(position, item)? else {
                    return Err(RuleFault::Error);
                };
                if position.fract() != 0.0 || !(0.0..items.len() as f64).contains(&position) {
                    return Err(RuleFault::Error);
                }
                items.swap_remove(position as usize)
            }
            Node::Call(function, arguments) => self.call(*function, arguments, item)?,
            Node::Each(each, parts) => {
                let [list, body] = &**parts;
                let Value::List(items) = self.value(list, item)? else {
                    return Err(RuleFault::Error);
                };
                self.each(*each, items, body)?
            }
        })
    }

    fn output(&self, id: OutputId) -> Value<'a> {
        if id == OutputId::BODY {
            return self.outcome.body.as_deref().map_or(Value::Null, |body| Value::Text(Cow::Borrowed(body)));
        }
        if id == OutputId::REASON {
            return Value::Text(Cow::Borrowed(self.outcome.reason.as_str()));
        }
        match self.outcome.outputs.get(id) {
            None => Value::Null,
            Some(OutputValue::Number(number)) => Value::Number(*number),
            Some(OutputValue::Text(text)) => Value::Text(Cow::Borrowed(text)),
        }
    }

    fn item(&self, item: Option<&Value<'a>>) -> Result<Value<'a>, RuleFault> {
        let item = item.ok_or(RuleFault::Error)?;
        if let Value::Text(Cow::Owned(text)) = item {
            self.pay_made(text.len())?;
        }
        Ok(item.clone())
    }

    /// Whether one of the operands is `wanted`. A fault counts only if none is.
    fn is_any(&self, operands: &'a [Node], wanted: bool, item: Option<&Value<'a>>) -> Result<bool, RuleFault> {
        let mut fault = None;
        for operand in operands {
            match self.truth(operand, item) {
                Ok(truth) if truth == wanted => return Ok(true),
                Ok(_) => {}
                Err(RuleFault::Timeout) => return Err(RuleFault::Timeout),
                Err(RuleFault::Error) => fault = Some(RuleFault::Error),
            }
        }
        fault.map_or(Ok(false), Err)
    }

    fn is_equal(&self, left: &Value<'a>, right: &Value<'a>) -> Result<bool, RuleFault> {
        if let (Value::Text(left), Value::Text(right)) = (left, right) {
            self.pay(if left.len() == right.len() { left.len() } else { 0 })?;
        }
        Ok(left == right)
    }

    fn is_ordered(&self, order: Order, left: &Value<'a>, right: &Value<'a>) -> Result<bool, RuleFault> {
        let ordering = match (left, right) {
            (Value::Null, _) | (_, Value::Null) => return Ok(false),
            (Value::Number(left), Value::Number(right)) => left.partial_cmp(right),
            (Value::Text(left), Value::Text(right)) => {
                self.pay(left.len().min(right.len()))?;
                Some(left.cmp(right))
            }
            _ => return Err(RuleFault::Error),
        };
        let Some(ordering) = ordering else { return Ok(false) };
        Ok(match order {
            Order::Less => ordering == Ordering::Less,
            Order::LessOrEqual => ordering != Ordering::Greater,
            Order::Greater => ordering == Ordering::Greater,
            Order::GreaterOrEqual => ordering != Ordering::Less,
        })
    }

    fn is_in(&self, value: &'a Node, list: &'a Node, item: Option<&Value<'a>>) -> Result<bool, RuleFault> {
        let value = self.value(value, item)?;
        if let Node::List(nodes) = list {
            // The usual case, without making the list.
            for node in nodes {
                if self.is_equal(&value, &self.value(node, item)?)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        let Value::List(items) = self.value(list, item)? else {
            return Err(RuleFault::Error);
        };
        for element in &items {
            if self.is_equal(&value, element)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn arithmetic(&self, operator: Arithmetic, left: Value<'a>, right: Value<'a>) -> Result<Value<'a>, RuleFault> {
        match (left, right) {
            (Value::Null, Value::Null | Value::Number(_) | Value::Text(_))
            | (Value::Number(_) | Value::Text(_), Value::Null) => Ok(Value::Null),
            (Value::Number(left), Value::Number(right)) => Ok(Value::Number(match operator {
                Arithmetic::Add => left + right,
                Arithmetic::Subtract => left - right,
                Arithmetic::Multiply => left * right,
                Arithmetic::Divide => left / right,
                Arithmetic::Remainder => left % right,
            })),
            (Value::Text(left), Value::Text(right)) if operator == Arithmetic::Add => {
                // A borrowed left is copied; an owned one grows in place.
                self.pay_made(right.len() + if matches!(left, Cow::Borrowed(_)) { left.len() } else { 0 })?;
                let mut text = left.into_owned();
                text.push_str(&right);
                Ok(Value::Text(Cow::Owned(text)))
            }
            _ => Err(RuleFault::Error),
        }
    }

    fn call(
        &self,
        function: Function,
        arguments: &'a [Node],
        item: Option<&Value<'a>>,
    ) -> Result<Value<'a>, RuleFault> {
        let first = self.value(arguments.first().ok_or(RuleFault::Error)?, item)?;
        let (Some(second), true) = (arguments.get(1), first != Value::Null) else {
            return match function {
                _ if first != Value::Null => self.convert(function, first),
                Function::Size | Function::Whole | Function::Number | Function::Text => Ok(Value::Null),
                Function::Contains | Function::StartsWith | Function::EndsWith => Ok(Value::Bool(false)),
            };
        };
        let (text, wanted) = match (first, self.value(second, item)?) {
            (Value::Text(text), Value::Text(wanted)) => (text, wanted),
            (Value::Text(_), Value::Null) => return Ok(Value::Bool(false)),
            _ => return Err(RuleFault::Error),
        };
        Ok(Value::Bool(match function {
            Function::Contains => {
                self.pay(text.len())?;
                // faster than `str::contains`, which periodic needles slow down to 10 ms per MiB
                memchr::memmem::find(text.as_bytes(), wanted.as_bytes()).is_some()
            }
            Function::StartsWith => {
                self.pay(wanted.len())?;
                text.starts_with(&*wanted)
            }
            Function::EndsWith => {
                self.pay(wanted.len())?;
                text.ends_with(&*wanted)
            }
            Function::Size | Function::Whole | Function::Number | Function::Text => return Err(RuleFault::Error),
        }))
    }

    /// Functions of one argument that is not null.
    fn convert(&self, function: Function, value: Value<'a>) -> Result<Value<'a>, RuleFault> {
        Ok(match (function, value) {
            (Function::Size, Value::Text(text)) => {
                self.pay(text.len())?;
                Value::Number(text.chars().count() as f64)
            }
            (Function::Size, Value::List(items)) => Value::Number(items.len() as f64),
            (Function::Whole, Value::Number(number)) if number.is_finite() => Value::Number(number.trunc()),
            (Function::Whole, Value::Text(text)) => {
                let number: i64 = text.parse().map_err(|_| RuleFault::Error)?;
                Value::Number(number as f64)
            }
            (Function::Number, Value::Number(number)) => Value::Number(number),
            (Function::Number, Value::Text(text)) => {
                let number: f64 = text.parse().map_err(|_| RuleFault::Error)?;
                Value::Number(number)
            }
            (Function::Text, Value::Number(number)) => Value::Text(Cow::Owned(number.to_string())),
            (Function::Text, Value::Bool(truth)) => Value::Text(Cow::Borrowed(if truth { "true" } else { "false" })),
            (Function::Text, text @ Value::Text(_)) => text,
            _ => return Err(RuleFault::Error),
        })
    }

    fn each(&self, each: Each, items: Vec<Value<'a>>, body: &'a Node) -> Result<Value<'a>, RuleFault> {
        let mut fault = None;
        let mut count = 0;
        let mut made = Vec::new();
        for element in items {
            if each == Each::Map {
                made.push(self.value(body, Some(&element))?);
                continue;
            }
            match self.truth(body, Some(&element)) {
                Ok(true) if each == Each::Exists => return Ok(Value::Bool(true)),
                Ok(false) if each == Each::All => return Ok(Value::Bool(false)),
                Ok(true) if each == Each::Filter => made.push(element),
                Ok(truth) => count += usize::from(truth),
                Err(RuleFault::Error) if matches!(each, Each::Exists | Each::All) => fault = Some(RuleFault::Error),
                Err(fault) => return Err(fault),
            }
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
        Ok(match each {
            Each::All => Value::Bool(true),
            Each::Exists => Value::Bool(false),
            Each::ExistsOne => Value::Bool(count == 1),
            Each::Filter | Each::Map => Value::List(made),
        })
    }
}
