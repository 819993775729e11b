package schema

import (
	"regexp"
	"strings"
)

// Shape is a JSON Schema, or a part of one, of draft 07: the newest that editors with yaml-language-server all take.
type Shape map[string]any

// reference is where a document made of Section's shapes has to define Variable.
const reference = "#/definitions/variable"

// Variable is the shape of a text that refers to a variable, whatever that holds.
func Variable() Shape {
	const other = `([^$]|\$+[^${]|\$\$\{)*`
	return Shape{"type": "string", "pattern": `\$\$?\{`, "not": Shape{"pattern": `^` + other + `\$\{([^A-Za-z_]|$|[A-Za-z_][A-Za-z0-9_]*([^A-Za-z0-9_:}]|$|:([^-]|$|-[^{}]*([{]|$))))`}}
}

// JSONSchema returns the shape of a section with these fields. inner returns the shape of a field whose inside the field
// itself does not tell; nil where it knows none.
func JSONSchema(path string, fields []Field, inner func(path string, f Field) Shape) Shape {
	properties, required := Shape{}, []string{}
	for _, f := range fields {
		sub := strings.TrimPrefix(path+"."+f.Key, ".")
		shape := inner(sub, f)
		if shape == nil {
			shape = f.shape(sub, inner)
		}
		if !f.Required {
			shape = Shape{"anyOf": []Shape{shape, {"type": "null"}}}
		}
		if f.Fields == nil && f.Kind != "section" {
			shape["description"] = f.Want
		}
		if f.Default != "" {
			shape["default"] = f.Default
		}
		properties[f.Key] = shape
		if f.Required {
			required = append(required, f.Key)
		}
	}
	section := Shape{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		section["required"] = required
	}
	return section
}

// shape is what values of the field look like, as far as the field tells.
func (f Field) shape(path string, inner func(path string, f Field) Shape) Shape {
	number := Shape{"type": "string", "pattern": `^[+-]?[0-9]+$`} // in quotes
	switch {
	case f.Fields != nil:
		return JSONSchema(path, f.Fields, inner)
	case f.Options != nil:
		return OrVariable(Shape{"enum": f.Options})
	case f.High > 0 && f.OrZero:
		return OrVariable(Shape{"enum": []int{0}}, Shape{"type": "integer", "minimum": f.Low, "maximum": f.High}, number)
	case f.High > 0:
		return OrVariable(Shape{"type": "integer", "minimum": f.Low, "maximum": f.High}, number)
	}
	switch f.Kind {
	case "boolean":
		return OrVariable(Shape{"type": "boolean"}, Shape{"enum": []string{"true", "false"}})
	case "section":
		return Shape{"type": "object"}
	case "list":
		return Shape{"type": "array"}
	case "string":
		return Scalar()
	}
	return Shape{}
}

// OrVariable is one of the shapes, or a text that refers to a variable.
func OrVariable(shapes ...Shape) Shape {
	return Shape{"anyOf": append(shapes, Shape{"$ref": reference})}
}

// Scalar is the shape of any single value: a text may be written as YAML's numbers and truth values are.
func Scalar() Shape { return Shape{"type": []string{"string", "number", "boolean"}} }

// Pattern is the shape of a text that matches the regular expression and has at most so many characters.
func Pattern(re *regexp.Regexp, most int) Shape {
	text := Shape{"type": "string", "pattern": re.String(), "maxLength": most}
	if re.MatchString("1") { // as a number or a truth value it is no other text
		text["type"] = Scalar()["type"]
	}
	return text
}

// Given is the shape of a section that has a value at the key.
func Given(key string) Shape {
	return Shape{"required": []string{key}, "properties": Shape{key: Shape{"not": Shape{"type": "null"}}}}
}

// Item is the shape of a text with these rules, which may be written as any single value.
func Item(rules Shape) Shape {
	rules["type"] = Scalar()["type"]
	return rules
}
