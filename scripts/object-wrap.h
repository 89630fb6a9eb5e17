// Included before each C++ file of the packages that npm compiles (scripts/setup.js).
//
// From Node 24.19 on, an ObjectWrap of the 24 line removes an environment cleanup hook when it is collected. That aborts
// the process where no context is entered: github.com/nodejs/node/issues/65446. better-sqlite3 12 collects its
// statements so, and better-sqlite3 13 needs Node 22. This header compiles ObjectWrap without the hook, as Node 20 and
// 22 have it. It changes nothing where there is no hook.
#ifndef EARSHOT_OBJECT_WRAP_H_
#define EARSHOT_OBJECT_WRAP_H_

#include <node.h>

namespace node {
inline void NoCleanupHook(v8::Isolate*, void (*)(void*), void*) {}
}  // namespace node

#define AddEnvironmentCleanupHook NoCleanupHook
#define RemoveEnvironmentCleanupHook NoCleanupHook
#include <node_object_wrap.h>
#undef AddEnvironmentCleanupHook
#undef RemoveEnvironmentCleanupHook

#endif
