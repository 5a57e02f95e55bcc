# Dependencies: an installed package first, a pinned download second. All of them are header-only, so a download is
# used for its headers alone and none of its build runs here. The pinned versions are Debian 12's.

set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON) # a parent project must see what our target links

# Makes `target` available from the installed `package`, at least `minimum`, or from `repository` at `tag`, whose
# headers lie in `headers`.
function(incontext_dependency package target minimum repository tag headers)
  if(TARGET ${target})
    return()
  endif()

  # Without a version: Eigen's version file rejects both 3.4.0 for "3.4...5" and 5 for "3.4". We compare ourselves.
  find_package(${package} CONFIG QUIET)
  if(${package}_FOUND)
    if(${package}_VERSION VERSION_LESS minimum)
      message(FATAL_ERROR "incontext needs ${package} ${minimum} or newer, found ${${package}_VERSION} in ${${package}_DIR}")
    endif()
    message(STATUS "incontext: ${package} ${${package}_VERSION} in ${${package}_DIR}")
  elseif(INCONTEXT_FETCH_DEPENDENCIES)
    message(STATUS "incontext: ${package} is not installed, downloading ${tag} from ${repository}")
    include(FetchContent)
    FetchContent_Declare(${package} GIT_REPOSITORY ${repository} GIT_TAG ${tag} GIT_SHALLOW ON
                         SOURCE_SUBDIR headers-only) # a folder that does not exist: fetch, but build nothing
    FetchContent_MakeAvailable(${package})
    string(TOLOWER ${package} name)
    add_library(${target} INTERFACE IMPORTED GLOBAL)
    target_include_directories(${target} SYSTEM INTERFACE ${${name}_SOURCE_DIR}/${headers})
  else()
    message(FATAL_ERROR "incontext needs ${package} ${minimum} or newer: install it (scripts/setup does, where it may), "
                        "or configure with -DINCONTEXT_FETCH_DEPENDENCIES=ON to download it")
  endif()
endfunction()

incontext_dependency(Eigen3 Eigen3::Eigen 3.4 https://gitlab.com/libeigen/eigen.git 3.4.0 .)
incontext_dependency(xsimd xsimd::xsimd 8.1 https://github.com/xtensor-stack/xsimd.git 8.1.0 include)
include(${CMAKE_CURRENT_LIST_DIR}/xsimd-target.cmake)
incontext_dependency(nlohmann_json nlohmann_json::nlohmann_json 3.9 https://github.com/nlohmann/json.git v3.11.2 include)
find_package(Threads REQUIRED)

if(INCONTEXT_BUILD_TESTS)
  incontext_dependency(doctest doctest::doctest 2.4 https://github.com/doctest/doctest.git v2.4.9 .)
endif()
if(INCONTEXT_BUILD_EXAMPLES)
  incontext_dependency(CLI11 CLI11::CLI11 2.1 https://github.com/CLIUtils/CLI11.git v2.1.2 include)
endif()
