//! Source to tokens, each with the character offset where it begins.

use super::RuleError;

/// A piece of a rule.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A finite, non-negative number.
    Number(f64),
    /// A text literal in both of its readings, see [`Literal`].
    Text(Literal),
    /// A name or word.
    Word(String),
    /// An operator or bracket, one of [`SYMBOLS`].
    Symbol(&'static str),
    /// Behind the last token.
    End,
}

/// A text literal. What a backslash means depends on whether the text is used as a value or as a regular expression,
/// and the lexer cannot know that.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Literal {
    /// As a value: CEL's escapes; a backslash before any other character is dropped, as the reference does.
    pub value: String,
    /// As a regular expression: `\\` and escaped quotes are undone, every other backslash is the expression's own, so
    /// that `'\d'`, `'\\d'` and `r'\d'` are the same.
    pub pattern: String,
}

/// Tokens that may appear, longest first.
const SYMBOLS: &[&str] = &[
    "&&", "||", "==", "!=", "=~", "!~", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", "(", ")", "[",
    "]", ",", ".",
];

/// Tokens of other languages and of the reference that have no place here, longest first, with what to write instead.
const REFUSED: &[(&str, &str)] = &[
    ("**", "`**` (power) is not supported"),
    ("??", "`??` is not supported; write `x != null ? x : y`"),
    ("===", "`===` is not an operator; write `==`"),
    ("!==", "`!==` is not an operator; write `!=`"),
    ("<>", "`<>` is not an operator; write `!=`"),
    ("<<", "bit operators such as `<<` are not supported"),
    (">>", "bit operators such as `>>` are not supported"),
    ("=>", "`=>` is not an operator; write `>=`"),
    ("=<", "`=<` is not an operator; write `<=`"),
    ("&", "bit operators such as `&` are not supported; write `&&` for AND"),
    ("|", "bit operators such as `|` are not supported; write `||` for OR"),
    ("^", "bit operators such as `^` are not supported"),
    ("~", "bit operators such as `~` are not supported; write `=~` to search with a regular expression"),
    ("=", "`=` is not an operator; write `==`"),
    ("{", "maps and messages in `{}` are not supported"),
    ("}", "maps and messages in `{}` are not supported"),
    (";", "`;` is not supported; a rule is one expression"),
    ("`", "write texts in single or double quotes"),
    ("“", "write texts in straight quotes: '…' or \"…\""),
    ("”", "write texts in straight quotes: '…' or \"…\""),
    ("‘", "write texts in straight quotes: '…' or \"…\""),
    ("’", "write texts in straight quotes: '…' or \"…\""),
];

/// Splits a rule into tokens; the last one is [`Token::End`].
pub(super) fn split(source: &[char]) -> Result<Vec<(usize, Token)>, RuleError> {
    let mut lexer = Lexer { source, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank();
        let at = lexer.at;
        let token = lexer.next()?;
        let end = token == Token::End;
        tokens.push((at, token));
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'s> {
    source: &'s [char],
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.source.get(self.at + ahead).copied()
    }

    fn starts_with(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(i, c)| self.peek(i) == Some(c))
    }

    /// White space and comments (`//` as in CEL, `#` as in the reference's examples).
    fn skip_blank(&mut self) {
        loop {
            if self.peek(0).is_some_and(char::is_whitespace) {
                self.at += 1;
            } else if self.peek(0) == Some('#') || self.starts_with("//") {
                while self.peek(0).is_some_and(|c| c != '\n') {
                    self.at += 1;
                }
            } else {
                return;
            }
        }
    }

    fn next(&mut self) -> Result<Token, RuleError> {
        let Some(c) = self.peek(0) else { return Ok(Token::End) };
        let digit = |ahead| self.peek(ahead).is_some_and(|c| c.is_ascii_digit());
        if digit(0) || (c == '.' && digit(1)) {
            return self.number();
        }
        if c == '\'' || c == '"' {
            return self.text(false).map(Token::Text);
        }
        if c.is_ascii_alphabetic() || c == '_' {
            return self.word();
        }
        // A refused token may begin like a good one (`**`, `<<`), or be shorter than one (`=`, `&`).
        let symbol = SYMBOLS.iter().find(|s| self.starts_with(s));
        let refused = REFUSED.iter().find(|(s, _)| self.starts_with(s));
        match (symbol, refused) {
            (Some(symbol), None) => {
                self.at += symbol.len();
                Ok(Token::Symbol(symbol))
            }
            (Some(symbol), Some((other, _))) if symbol.len() >= other.len() => {
                self.at += symbol.len();
                Ok(Token::Symbol(symbol))
            }
            (_, Some((_, sentence))) => Err(RuleError::new(self.at, *sentence)),
            (None, None) => Err(RuleError::new(self.at, format!("the character {c:?} has no meaning here"))),
        }
    }

    fn word(&mut self) -> Result<Token, RuleError> {
        let start = self.at;
        while self.peek(0).is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
            self.at += 1;
        }
        let word: String = self.source[start..self.at].iter().collect();
        if matches!(self.peek(0), Some('\'' | '"')) {
            match word.as_str() {
                "r" | "R" => return self.text(true).map(Token::Text),
                "b" | "B" | "br" | "rb" | "bR" | "Rb" | "Br" | "rB" | "BR" | "RB" => {
                    return Err(RuleError::new(start, "bytes such as b'…' are not supported; write a text"));
                }
                _ => {}
            }
        }
        Ok(Token::Word(word))
    }

    fn number(&mut self) -> Result<Token, RuleError> {
        let start = self.at;
        let fault = |at, text: &str| Err(RuleError::new(at, text));
        let value = if self.peek(0) == Some('0') && matches!(self.peek(1), Some('x' | 'X')) {
            self.at += 2;
            let digits = self.run(|c| c.is_ascii_hexdigit());
            match u64::from_str_radix(&digits, 16) {
                Ok(value) => value as f64,
                Err(_) => return fault(start, "this is not a hexadecimal number of at most 16 digits"),
            }
        } else {
            let mut text = self.run(|c| c.is_ascii_digit());
            if self.peek(0) == Some('.') && self.peek(1).is_some_and(|c| c.is_ascii_digit()) {
                self.at += 1;
                text.push('.');
                text += &self.run(|c| c.is_ascii_digit());
            }
            let sign = usize::from(matches!(self.peek(1), Some('+' | '-')));
            if matches!(self.peek(0), Some('e' | 'E')) && self.peek(1 + sign).is_some_and(|c| c.is_ascii_digit()) {
                text.push('e');
                text.extend(self.source[self.at + 1..self.at + 1 + sign].iter());
                self.at += 1 + sign;
                text += &self.run(|c| c.is_ascii_digit());
            }
            match text.parse::<f64>() {
                Ok(value) => value,
                Err(_) => return fault(start, "this is not a number"),
            }
        };
        if matches!(self.peek(0), Some('u' | 'U')) && !self.peek(1).is_some_and(|c| c.is_ascii_alphanumeric()) {
            self.at += 1; // CEL's mark of an unsigned number; there is one kind of number here
        }
        if self.peek(0).is_some_and(|c| c.is_alphanumeric() || c == '_') {
            let sentence = "a number has no unit; times are in milliseconds (5s is 5000) and sizes in bytes";
            return fault(self.at, sentence);
        }
        if !value.is_finite() {
            return fault(start, "this number is too large");
        }
        Ok(Token::Number(value))
    }

    fn run(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        while let Some(c) = self.peek(0).filter(|c| belongs(*c)) {
            text.push(c);
            self.at += 1;
        }
        text
    }

    /// A text in single, double or tripled quotes; `self.at` is at the first quote.
    fn text(&mut self, raw: bool) -> Result<Literal, RuleError> {
        let start = self.at;
        let quote = self.source[start];
        let tripled = self.peek(1) == Some(quote) && self.peek(2) == Some(quote);
        self.at += if tripled { 3 } else { 1 };
        let mut literal = Literal { value: String::new(), pattern: String::new() };
        loop {
            let Some(c) = self.peek(0) else {
                return Err(RuleError::new(start, "this text is not closed: its last quote is missing"));
            };
            let closed = c == quote && (!tripled || (self.peek(1) == Some(quote) && self.peek(2) == Some(quote)));
            if closed {
                self.at += if tripled { 3 } else { 1 };
                return Ok(literal);
            }
            if c == '\0' {
                return Err(RuleError::new(self.at, "a text must not hold the character NUL"));
            }
            if c == '\\' && !raw {
                self.escape(&mut literal)?;
            } else {
                literal.value.push(c);
                literal.pattern.push(c);
                self.at += 1;
            }
        }
    }

    /// A backslash and what follows it.
    fn escape(&mut self, literal: &mut Literal) -> Result<(), RuleError> {
        let start = self.at;
        let Some(c) = self.peek(1) else {
            return Err(RuleError::new(start, "this text is not closed: its last quote is missing"));
        };
        self.at += 2;
        let value = match c {
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'x' | 'u' | 'U' => {
                let digits = match c {
                    'u' => 4,
                    'U' => 8,
                    _ => 2,
                };
                self.code_point(digits).unwrap_or(c)
            }
            other => other,
        };
        if value == '\0' {
            return Err(RuleError::new(start, "a text must not hold the character NUL"));
        }
        literal.value.push(value);
        match c {
            '\\' | '\'' | '"' => literal.pattern.push(c),
            _ => literal.pattern.extend(&self.source[start..self.at]),
        }
        Ok(())
    }

    /// Exactly `digits` hexadecimal digits that name a character; otherwise nothing is read.
    fn code_point(&mut self, digits: usize) -> Option<char> {
        let text: String = self.source.get(self.at..self.at + digits)?.iter().collect();
        if !text.chars().all(|c| c.is_ascii_hexdigit()) {
            return None;
        }
        let value = char::from_u32(u32::from_str_radix(&text, 16).ok()?)?;
        self.at += digits;
        Some(value)
    }
}
