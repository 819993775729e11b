package cel

import (
	"errors"
	"maps"
	"reflect"
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"

	"github.com/tekton-sentry/sentry/pkg/strategy"
)

const memberName = "member"

// memberType is the type of a member, whose fields the checker knows: a name that is misspelled is an error of the expression.
var memberType = cel.ObjectType(memberName)

// fields are what an expression can ask of a member.
var fields = map[string]struct {
	kind *cel.Type
	get  func(m *member) any
}{
	"index":   {cel.IntType, func(m *member) any { return types.Int(m.index) }},
	"name":    {cel.StringType, func(m *member) any { return types.String(m.about.Name) }},
	"project": {cel.StringType, func(m *member) any { return types.String(m.about.Project) }},
	"wave":    {cel.IntType, func(m *member) any { return types.Int(m.about.Wave) }},
	"needs":   {cel.ListType(cel.StringType), func(m *member) any { return m.needs }},
	"labels":  {cel.MapType(cel.StringType, cel.StringType), func(m *member) any { return m.labels }},
}

// member is one as a value of CEL.
type member struct {
	index         int // in the order of the file, from 0
	about         strategy.About
	needs, labels ref.Val
}

func newMember(index int, about strategy.About) *member {
	return &member{
		index: index, about: about,
		needs:  types.NewStringList(types.DefaultTypeAdapter, about.Needs),
		labels: sorted{types.NewStringStringMap(types.DefaultTypeAdapter, about.Labels), about.Labels},
	}
}

// sorted is a map that is gone through in the order of its keys. That of Go's maps is another each time.
type sorted struct {
	traits.Mapper
	texts map[string]string
}

// Iterator implements traits.Iterable.
func (s sorted) Iterator() traits.Iterator {
	return types.NewStringList(types.DefaultTypeAdapter, slices.Sorted(maps.Keys(s.texts))).Iterator()
}

var errOther = errors.New("a member is of no other type")

// ConvertToNative implements ref.Val.
func (m *member) ConvertToNative(reflect.Type) (any, error) { return nil, errOther }

// ConvertToType implements ref.Val.
func (m *member) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return memberType
	}
	return types.WrapErr(errOther)
}

// Equal implements ref.Val.
func (m *member) Equal(other ref.Val) ref.Val { return types.Bool(m == other) }

// Type implements ref.Val.
func (m *member) Type() ref.Type { return memberType }

// Value implements ref.Val.
func (m *member) Value() any { return m }

// provider knows the type of members beside those of CEL.
type provider struct{ types.Provider }

func newProvider() provider { return provider{types.NewEmptyRegistry()} }

// FindStructType implements types.Provider.
func (p provider) FindStructType(name string) (*types.Type, bool) {
	if name == memberName {
		return types.NewTypeTypeWithParam(memberType), true
	}
	return p.Provider.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	if name == memberName {
		return slices.Sorted(maps.Keys(fields)), true
	}
	return p.Provider.FindStructFieldNames(name)
}

// FindStructFieldType implements types.Provider.
func (p provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	f, ok := fields[field]
	if name != memberName || !ok {
		return p.Provider.FindStructFieldType(name, field)
	}
	return &types.FieldType{
		Type:  f.kind,
		IsSet: func(any) bool { return true },
		GetFrom: func(of any) (any, error) {
			m, ok := of.(*member)
			if !ok {
				return nil, errOther
			}
			return f.get(m), nil
		},
	}, true
}
