package flight

import (
	"context"
	"fmt"
	"runtime/debug"
)

// PanicError is what waiters get for a load that panicked or called runtime.Goexit.
type PanicError struct {
	// Value is what was passed to panic; nil after runtime.Goexit.
	Value any
	// Stack is the stack of the load's goroutine at the panic, as debug.Stack formats it. It is for
	// logs: it may hold what callers must not see.
	Stack []byte
}

// Error names the panic's value. It does not include the stack.
func (e *PanicError) Error() string {
	if e.Value == nil {
		return "flight: load called runtime.Goexit"
	}
	return fmt.Sprintf("flight: load panicked: %v", e.Value)
}

// Unwrap returns the panic's value if it was an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Guard runs fn on the caller's goroutine and turns a panic into a *PanicError. After runtime.Goexit in fn it does not return.
func Guard[V any](ctx context.Context, fn func(context.Context) (V, error)) (v V, err error) {
	defer func() {
		if r := recover(); r != nil {
			var zero V
			v, err = zero, &PanicError{Value: r, Stack: debug.Stack()}
		}
	}()
	return fn(ctx)
}
