# Compiler options shared by every target of the project, and eventyard_library().
add_library(eventyard_options INTERFACE)
target_compile_options(eventyard_options INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow -fno-omit-frame-pointer)
target_include_directories(eventyard_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(eventyard_options INTERFACE EVENTYARD_VERSION="${PROJECT_VERSION}")
if(EVENTYARD_WERROR)
    target_compile_options(eventyard_options INTERFACE -Werror)
endif()
if(EVENTYARD_SANITIZE)
    add_compile_options(-fsanitize=${EVENTYARD_SANITIZE} -fno-sanitize-recover=all -O1)
    add_link_options(-fsanitize=${EVENTYARD_SANITIZE})
    add_compile_definitions(_GLIBCXX_ASSERTIONS)
endif()
if(EVENTYARD_FUZZ)
    # Clang 14 cannot combine the check of function types with coroutines.
    add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=function
                        -fno-sanitize-recover=all -O1)
    add_link_options(-fsanitize=address,undefined)
endif()

# eventyard_library(NAME LINKS...): a static library of every .cpp in this folder (not below it).
function(eventyard_library name)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
    if(NOT sources)
        add_library(${name} INTERFACE)
        target_link_libraries(${name} INTERFACE eventyard_options ${ARGN})
        return()
    endif()
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC eventyard_options ${ARGN})
endfunction()
