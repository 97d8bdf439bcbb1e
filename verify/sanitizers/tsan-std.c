/* Tells ThreadSanitizer what it can't see in the standard library, which is compiled without instrumentation. Linked into
 * the tests in place of six functions (`--wrap`, in `verify/sanitize`), each of which it calls. It only ever tells of an order
 * that there is; that races beside a lock, and counts that don't order, are still reported, is what canaries are for.
 */
#include <stdint.h>

void __tsan_acquire(void *at);
void __tsan_release(void *at);

/* A `Mutex` is locked within std when somebody else has it, and unlocked here, in code that is instrumented. So what is
 * missing is that the one who waited sees what the other one did. */
void locked(void *mutex) __asm__("__real_" LOCK_CONTENDED);
void lock(void *mutex) __asm__("__wrap_" LOCK_CONTENDED);

void lock(void *mutex)
{
	locked(mutex);
	__tsan_acquire(mutex);
}

/* A `Condvar` gives the lock up within std, and takes it back there. The last argument is a `Duration` in two words. */
void waited(void *condvar, void *mutex) __asm__("__real_" WAIT_FOR_CALL);
void wait(void *condvar, void *mutex) __asm__("__wrap_" WAIT_FOR_CALL);
_Bool waited_for(void *condvar, void *mutex, uint64_t seconds, uint32_t nanoseconds)
	__asm__("__real_" WAIT_FOR_CALL_OR_TIME);
_Bool wait_for(void *condvar, void *mutex, uint64_t seconds, uint32_t nanoseconds)
	__asm__("__wrap_" WAIT_FOR_CALL_OR_TIME);

void wait(void *condvar, void *mutex)
{
	__tsan_release(mutex);
	waited(condvar, mutex);
	__tsan_acquire(mutex);
}

_Bool wait_for(void *condvar, void *mutex, uint64_t seconds, uint32_t nanoseconds)
{
	__tsan_release(mutex);
	_Bool is_called = waited_for(condvar, mutex, seconds, nanoseconds);
	__tsan_acquire(mutex);
	return is_called;
}

/* A `Once`, and so a `OnceLock`, is told within std that it is done, and read by code that is instrumented. What the
 * closure did comes before that. The closure comes as a pair of pointers; the second one's are to the destructor, size,
 * alignment, and the two ways to call it, of which std takes the last. */
typedef void call_mut(void *closure, void *state);
struct initializer {
	void *closure;
	call_mut *const *functions;
	void *once;
};
enum { FUNCTIONS = 5, CALL_MUT = 4 };

void call(void *once, _Bool ignores_poison, void *closure, call_mut *const *functions, void *location)
	__asm__("__real_" ONCE_CALL);
void call_once(void *once, _Bool ignores_poison, void *closure, call_mut *const *functions, void *location)
	__asm__("__wrap_" ONCE_CALL);

static void initialize(void *given, void *state)
{
	struct initializer *initializer = given;
	initializer->functions[CALL_MUT](initializer->closure, state);
	__tsan_release(initializer->once);
}

void call_once(void *once, _Bool ignores_poison, void *closure, call_mut *const *functions, void *location)
{
	static call_mut *const ours[FUNCTIONS] = {[CALL_MUT] = initialize};
	struct initializer initializer = {closure, functions, once};
	call(once, ignores_poison, &initializer, ours, location);
	__tsan_acquire(once);
}

/* Whoever drops the last `Arc` has a fence, of which the sanitizer knows nothing, after the decrement: it sees what those
 * did whose decrements came before. So the fence acquires what the thread has decremented last. */
static _Thread_local void *decremented;

uint64_t __real___tsan_atomic64_fetch_sub(volatile uint64_t *at, uint64_t by, int order);
void __real___tsan_atomic_thread_fence(int order);

uint64_t __wrap___tsan_atomic64_fetch_sub(volatile uint64_t *at, uint64_t by, int order)
{
	decremented = (void *)at;
	return __real___tsan_atomic64_fetch_sub(at, by, order);
}

void __wrap___tsan_atomic_thread_fence(int order)
{
	if (decremented)
		__tsan_acquire(decremented);
	decremented = 0;
	__real___tsan_atomic_thread_fence(order);
}
