# One target a folder: bastide_room(base USES ... LIBS ...) makes the library `base` of every *.cc in the
# current folder, and, where there are *_test.cc files beside them, the test program `base_test`. HOT rooms, where
# requests spend their time, are optimised more in release builds; the others build a third faster without.
find_package(GTest REQUIRED)
include(GoogleTest)

function(bastide_room name)
  cmake_parse_arguments(ROOM "HOT" "" "USES;LIBS;EXCLUDE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  foreach(excluded ${ROOM_EXCLUDE})
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/${excluded})
  endforeach()
  add_library(${name} STATIC ${sources})
  # For quoted includes alone: src/sys must not hide the system's own <sys/...>.
  target_compile_options(${name} PUBLIC "SHELL:-iquote ${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(${name} PUBLIC ${ROOM_USES} ${ROOM_LIBS})
  if(ROOM_HOT AND CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(${name} PRIVATE -O2)
  endif()
  if(tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE ${name} GTest::gtest_main)
    # g++ 12 sees uninitialised optionals in tests that take values out of results at once.
    target_compile_options(${name}_test PRIVATE -Wno-maybe-uninitialized)
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 120)
  endif()
endfunction()
