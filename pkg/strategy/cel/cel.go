// Package cel works out who waits for whom in a group by an expression of the Common Expression Language (https://cel.dev), which says of
// two members whether one needs the other. It is pure: expressions know no clock, no chance and nothing outside of the group.
package cel

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// Bounds of an expression. The unit of cost is that of cel-go, some 150 ns of a processor.
const (
	// MaxText bounds the expression, in bytes.
	MaxText = 4096
	// maxNested bounds how deep an expression may be nested.
	maxNested = 50
	// maxPair is what it may cost for two members: a look at all 150 members of the largest group, and not one for each of them.
	maxPair = 20_000
	// maxGroup is what it may cost for all pairs of a group: a second.
	maxGroup = 5_000_000
)

// Needs returns for each member of the group those that it needs: the others for which the expression is true. Members are in the order of
// the file. It fails where the expression is wrong or costs too much, and says where in it; of what members say of themselves an
// error repeats nothing but their place.
func Needs(text string, group []strategy.About) (map[string][]string, error) {
	program, err := compile(text)
	if err != nil {
		return nil, err
	}
	all, values := make([]*member, len(group)), make([]ref.Val, len(group))
	for i, m := range group {
		all[i] = newMember(i, m)
		values[i] = all[i]
	}
	members := types.NewRefValList(types.DefaultTypeAdapter, values)
	needs := make(map[string][]string, len(group))
	cost := uint64(0)
	for _, m := range all {
		needs[m.about.Name] = nil
		for _, other := range all {
			if other == m {
				continue
			}
			out, details, err := program.Eval(map[string]any{"member": m, "other": other, "members": members})
			if err != nil {
				return nil, &strategy.PairError{Member: m.index, Other: other.index, What: plain(err)}
			}
			if cost += *details.ActualCost(); cost > maxGroup {
				return nil, fmt.Errorf("costs more than %d for the group of %d; want one that looks at fewer members for each pair", maxGroup, len(group))
			}
			if out.Value() == true {
				needs[m.about.Name] = append(needs[m.about.Name], other.about.Name)
			}
		}
	}
	return needs, nil
}

// environment is what expressions know. It is made when the first one is read.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.CustomTypeProvider(newProvider()),
		cel.Variable("member", memberType),
		cel.Variable("other", memberType),
		cel.Variable("members", cel.ListType(memberType)),
		cel.ParserRecursionLimit(maxNested),
		cel.ParserExpressionSizeLimit(MaxText),
		cel.ASTValidators(cel.ValidateRegexLiterals()),
	)
})

func compile(text string) (cel.Program, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("has %d bytes; want at most %d", len(text), MaxText)
	}
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("cannot be read, as CEL's own declarations are wrong: %w", err)
	}
	ast, issues := env.Compile(text)
	if issues != nil && len(issues.Errors()) > 0 {
		e := issues.Errors()[0]
		return nil, fmt.Errorf("is wrong at %s: %s", place(text, e.Location.Line(), e.Location.Column()), firstLine(e.Message))
	}
	if ast.OutputType() != cel.BoolType {
		return nil, fmt.Errorf("gives %s; want true or false: whether member needs other", cel.FormatCELType(ast.OutputType()))
	}
	estimate, err := env.EstimateCost(ast, sizes{})
	if err != nil {
		return nil, fmt.Errorf("has a cost that cannot be foretold: %s", plain(err))
	}
	if estimate.Max > maxPair {
		return nil, fmt.Errorf("may cost %d for two members; want at most %d, such as one look at all members in it and not one in the other", estimate.Max, maxPair)
	}
	return env.Program(ast, cel.CostLimit(maxPair))
}

// place says where something is in an expression, whose columns are counted from 0.
func place(text string, line, column int) string {
	column = max(column, 0) // -1 is the end of nothing
	if strings.Contains(strings.TrimSpace(text), "\n") {
		return fmt.Sprintf("line %d, column %d", line, column+1)
	}
	return fmt.Sprintf("column %d", column+1)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// plain is what an error says without what it quotes, which may be what a variable of the configuration holds.
func plain(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	what, _, _ := strings.Cut(err.Error(), ":")
	return firstLine(what)
}

// sizes bounds what cel-go cannot know: there are at most 150 members and needs, and no text of a member is longer.
type sizes struct{}

func (sizes) EstimateSize(checker.AstNode) *checker.SizeEstimate {
	return &checker.SizeEstimate{Max: 150}
}

func (sizes) EstimateCallCost(_, _ string, _ *checker.AstNode, _ []checker.AstNode) *checker.CallEstimate {
	return nil
}
