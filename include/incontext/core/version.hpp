#pragma once
/// \file
/// The version of the library. This file is its single source: CMake, pkg-config, the inline namespace and the
/// checkpoint metadata all read it here.

#define INCONTEXT_VERSION_MAJOR 0
#define INCONTEXT_VERSION_MINOR 1
#define INCONTEXT_VERSION_PATCH 0
